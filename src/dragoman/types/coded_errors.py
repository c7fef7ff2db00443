"""Exceptions of errors that say by a code of their own what is wrong: `error.details.error_code`. SDK-30.

Each is a class of its status's, which catches it too. Its `details` are a record of `types.errors`.
"""

from dragoman.client import exceptions as _exceptions
from dragoman.client.record import Record as _Record

from . import errors as _errors

# -- 400 --


class AvailableToolsLimitExceededError(_exceptions.BadRequestError):
    error_code = "available_tools_limit_exceeded"


class ClaudeCodeKeyCreatorNotMemberError(_exceptions.BadRequestError):
    error_code = "claude_code_key_creator_not_member"


class ClaudeCodeVersionTooOldError(_exceptions.BadRequestError):
    error_code = "claude_code_version_too_old"


class CMEKKeyDisabledError(_exceptions.BadRequestError):
    error_code = "cmek_key_disabled"


class CMEKKeyNetworkBlockedError(_exceptions.BadRequestError):
    error_code = "cmek_key_network_blocked"


class CompactionBlockAmbiguousError(_exceptions.BadRequestError):
    error_code = "compaction_block_ambiguous"


class CompactionBlockMisplacedError(_exceptions.BadRequestError):
    error_code = "compaction_block_misplaced"


class CompactionContentMismatchError(_exceptions.BadRequestError):
    error_code = "compaction_content_mismatch"


class CompactionIncompleteTurnError(_exceptions.BadRequestError):
    error_code = "compaction_incomplete_turn"


class CompactionNothingToSummarizeError(_exceptions.BadRequestError):
    error_code = "compaction_nothing_to_summarize"


class CompactionSignatureInvalidError(_exceptions.BadRequestError):
    error_code = "compaction_signature_invalid"


class CompactionTooManyToolReferencesError(_exceptions.BadRequestError):
    error_code = "compaction_too_many_tool_references"


class CompactionToolChangesMismatchError(_exceptions.BadRequestError):
    error_code = "compaction_tool_changes_mismatch"


class FileNotDownloadableError(_exceptions.BadRequestError):
    error_code = "file_not_downloadable"


class OrgMemberLimitExceededError(_exceptions.BadRequestError):
    error_code = "org_member_limit_exceeded"


class BetaOrganizationNotEnrolledInBetaError(_exceptions.BadRequestError):
    error_code = "organization_not_enrolled_in_beta"


class OrganizationOnHoldError(_exceptions.BadRequestError):
    error_code = "organization_on_hold"


class OrganizationTypeNotSupportedError(_exceptions.BadRequestError):
    error_code = "organization_type_not_supported"


class ParentOrganizationRequiredError(_exceptions.BadRequestError):
    error_code = "parent_organization_required"


class RequestBodyEncodingInvalidError(_exceptions.BadRequestError):
    error_code = "request_body_encoding_invalid"


class RequestBodyEncodingUnsupportedError(_exceptions.BadRequestError):
    error_code = "request_body_encoding_unsupported"


class BetaRequestBodyTimeoutError(_exceptions.BadRequestError):
    error_code = "request_body_timeout"


class StorageQuotaExceededError(_exceptions.BadRequestError):
    error_code = "storage_quota_exceeded"


class ThreadAlreadyContinuedError(_exceptions.BadRequestError):
    error_code = "thread_already_continued"


class ThreadContinueInFlightError(_exceptions.BadRequestError):
    error_code = "thread_continue_in_flight"


class ThreadFingerprintMismatchError(_exceptions.BadRequestError):
    error_code = "thread_fingerprint_mismatch"


class ThreadUnsupportedRequestError(_exceptions.BadRequestError):
    error_code = "thread_unsupported_request"


class ToolNameConflictError(_exceptions.BadRequestError):
    error_code = "tool_name_conflict"


class ToolReferenceUnresolvedError(_exceptions.BadRequestError):
    error_code = "tool_reference_unresolved"


class BetaUnsupportedCharsetError(_exceptions.BadRequestError):
    error_code = "unsupported_charset"


class UserProfileNotFoundError(_exceptions.BadRequestError):
    error_code = "user_profile_not_found"


class UserProfileRequiredError(_exceptions.BadRequestError):
    error_code = "user_profile_required"


# -- 402 --


class LinkedOrganizationBillingUnavailableError(_exceptions.PaymentRequiredError):
    error_code = "linked_organization_billing_unavailable"


class LinkedOrganizationSpendLimitReachedError(_exceptions.PaymentRequiredError):
    error_code = "linked_organization_spend_limit_reached"


# -- 403 --


class SandboxEgressRestrictedError(_exceptions.PermissionDeniedError):
    error_code = "sandbox_egress_restricted"


class UserProfileBillingNotAuthorizedError(_exceptions.PermissionDeniedError):
    error_code = "user_profile_billing_not_authorized"


class UserProfileNotBillableError(_exceptions.PermissionDeniedError):
    error_code = "user_profile_not_billable"


# -- 404 --


class FileExpiredError(_exceptions.NotFoundError):
    error_code = "file_expired"


class RBACRoleNotFoundError(_exceptions.NotFoundError):
    error_code = "rbac_role_not_found"


class ThreadNotFoundError(_exceptions.NotFoundError):
    error_code = "thread_not_found"


# -- 409 --


class ConcurrentMembershipChangeError(_exceptions.ConflictError):
    error_code = "concurrent_membership_change"


class SkillReadBlockedUndecryptableError(_exceptions.ConflictError):
    error_code = "skill_read_blocked_undecryptable"


# -- 413 --


class RequestBodyTooLargeAfterDecodingError(_exceptions.ContentTooLargeError):
    error_code = "request_body_too_large_after_decoding"


# -- 429 --


class ContractSpendLimitReachedError(_exceptions.RateLimitError):
    error_code = "contract_spend_limit_reached"


class EnforcedSpendLimitReachedError(_exceptions.RateLimitError):
    error_code = "enforced_spend_limit_reached"


class RampLimitExceededError(_exceptions.RateLimitError):
    error_code = "ramp_limit_exceeded"


# -- 503 --


class CMEKContextUnavailableError(_exceptions.ServiceUnavailableError):
    error_code = "cmek_context_unavailable"


class CMEKKeyUnreachableError(_exceptions.ServiceUnavailableError):
    error_code = "cmek_key_unreachable"


# -- 529 --


class CompactionUnavailableError(_exceptions.OverloadedError):
    error_code = "compaction_unavailable"


_CODED = [
    cls
    for cls in list(globals().values())
    if isinstance(cls, type) and issubclass(cls, _exceptions.APIStatusError) and "error_code" in cls.__dict__
]
_BY_STATUS = {(cls.status_code, cls.error_code): cls for cls in _CODED}
_DETAILS = {cls.error_code: f"{cls.__name__}Details" for cls in _CODED}


def class_of_code(status: int, code: str) -> type[_exceptions.APIStatusError] | None:
    """None where the API has no such code, or not with this status."""
    return _BY_STATUS.get((status, code))


def details_of_code(code: str) -> type[_Record]:
    """A bare Record where the API has no such code."""
    name = _DETAILS.get(code)
    return _Record if name is None else getattr(_errors, name)
