"""What the body of an error holds: `ErrorResponse`, its `error`, and details that some errors have."""

from __future__ import annotations

from typing import Literal, TypeAlias

from dragoman.client.record import Record


class InvalidRequestErrorObject(Record):
    message: str
    type: Literal["invalid_request_error"]


class AuthenticationErrorObject(Record):
    message: str
    type: Literal["authentication_error"]


class BillingErrorObject(Record):
    message: str
    type: Literal["billing_error"]


class PermissionErrorObject(Record):
    message: str
    type: Literal["permission_error"]


class NotFoundErrorObject(Record):
    message: str
    type: Literal["not_found_error"]


class RateLimitErrorObject(Record):
    message: str
    type: Literal["rate_limit_error"]


class GatewayTimeoutErrorObject(Record):
    message: str
    type: Literal["timeout_error"]


class APIErrorObject(Record):
    message: str
    type: Literal["api_error"]


class OverloadedErrorObject(Record):
    message: str
    type: Literal["overloaded_error"]


ErrorObject: TypeAlias = (
    InvalidRequestErrorObject
    | AuthenticationErrorObject
    | BillingErrorObject
    | PermissionErrorObject
    | NotFoundErrorObject
    | RateLimitErrorObject
    | GatewayTimeoutErrorObject
    | APIErrorObject
    | OverloadedErrorObject
)


class ErrorResponse(Record):
    error: ErrorObject
    type: Literal["error"]
    request_id: str | None = None


AuthenticationError: TypeAlias = AuthenticationErrorObject
BillingError: TypeAlias = BillingErrorObject
GatewayTimeoutError: TypeAlias = GatewayTimeoutErrorObject
InvalidRequestError: TypeAlias = InvalidRequestErrorObject
NotFoundError: TypeAlias = NotFoundErrorObject
OverloadedError: TypeAlias = OverloadedErrorObject
PermissionError: TypeAlias = PermissionErrorObject  # noqa: A001 (the API calls it so)
RateLimitError: TypeAlias = RateLimitErrorObject
BetaError: TypeAlias = ErrorObject
BetaErrorObject: TypeAlias = ErrorObject
BetaErrorResponse: TypeAlias = ErrorResponse
BetaAPIErrorObject: TypeAlias = APIErrorObject
BetaAuthenticationErrorObject: TypeAlias = AuthenticationErrorObject
BetaBillingErrorObject: TypeAlias = BillingErrorObject
BetaGatewayTimeoutErrorObject: TypeAlias = GatewayTimeoutErrorObject
BetaInvalidRequestErrorObject: TypeAlias = InvalidRequestErrorObject
BetaNotFoundErrorObject: TypeAlias = NotFoundErrorObject
BetaOverloadedErrorObject: TypeAlias = OverloadedErrorObject
BetaPermissionErrorObject: TypeAlias = PermissionErrorObject
BetaRateLimitErrorObject: TypeAlias = RateLimitErrorObject
BetaAPIError: TypeAlias = APIErrorObject
BetaAuthenticationError: TypeAlias = AuthenticationErrorObject
BetaBillingError: TypeAlias = BillingErrorObject
BetaGatewayTimeoutError: TypeAlias = GatewayTimeoutErrorObject
BetaInvalidRequestError: TypeAlias = InvalidRequestErrorObject
BetaNotFoundError: TypeAlias = NotFoundErrorObject
BetaOverloadedError: TypeAlias = OverloadedErrorObject
BetaPermissionError: TypeAlias = PermissionErrorObject
BetaRateLimitError: TypeAlias = RateLimitErrorObject


ThreadUnsupportedFeatureName: TypeAlias = Literal[
    "cache_control", "context_management", "fallbacks", "hipaa", "inference_hooks", "thinking"
]


class AvailableToolsLimitExceededErrorDetails(Record):
    error_code: Literal["available_tools_limit_exceeded"]


class ClaudeCodeKeyCreatorNotMemberErrorDetails(Record):
    error_code: Literal["claude_code_key_creator_not_member"]


class ClaudeCodeVersionTooOldErrorDetails(Record):
    error_code: Literal["claude_code_version_too_old"]


class CMEKKeyDisabledErrorDetails(Record):
    error_code: Literal["cmek_key_disabled"]


class CMEKKeyNetworkBlockedErrorDetails(Record):
    error_code: Literal["cmek_key_network_blocked"]


class CompactionBlockAmbiguousErrorDetails(Record):
    error_code: Literal["compaction_block_ambiguous"]


class CompactionBlockMisplacedErrorDetails(Record):
    error_code: Literal["compaction_block_misplaced"]


class CompactionContentMismatchErrorDetails(Record):
    error_code: Literal["compaction_content_mismatch"]


class CompactionIncompleteTurnErrorDetails(Record):
    error_code: Literal["compaction_incomplete_turn"]


class CompactionNothingToSummarizeErrorDetails(Record):
    error_code: Literal["compaction_nothing_to_summarize"]


class CompactionSignatureInvalidErrorDetails(Record):
    error_code: Literal["compaction_signature_invalid"]


class CompactionTooManyToolReferencesErrorDetails(Record):
    error_code: Literal["compaction_too_many_tool_references"]


class CompactionToolChangesMismatchErrorDetails(Record):
    error_code: Literal["compaction_tool_changes_mismatch"]


class OrganizationOnHoldErrorDetails(Record):
    error_code: Literal["organization_on_hold"]
    appeal_url: str | None = None


class RequestBodyEncodingInvalidErrorDetails(Record):
    error_code: Literal["request_body_encoding_invalid"]


class RequestBodyEncodingUnsupportedErrorDetails(Record):
    error_code: Literal["request_body_encoding_unsupported"]


class ThreadAlreadyContinuedErrorDetails(Record):
    error_code: Literal["thread_already_continued"]


class ThreadContinueInFlightErrorDetails(Record):
    error_code: Literal["thread_continue_in_flight"]


class ThreadFingerprintMismatchErrorDetails(Record):
    error_code: Literal["thread_fingerprint_mismatch"]


class ThreadUnsupportedRequestErrorDetails(Record):
    error_code: Literal["thread_unsupported_request"]
    unsupported: list[ThreadUnsupportedFeatureName] | None = None


class ToolNameConflictErrorDetails(Record):
    error_code: Literal["tool_name_conflict"]


class ToolReferenceUnresolvedErrorDetails(Record):
    error_code: Literal["tool_reference_unresolved"]


class UserProfileRequiredErrorDetails(Record):
    error_code: Literal["user_profile_required"]


class LinkedOrganizationBillingUnavailableErrorDetails(Record):
    error_code: Literal["linked_organization_billing_unavailable"]


class LinkedOrganizationSpendLimitReachedErrorDetails(Record):
    error_code: Literal["linked_organization_spend_limit_reached"]


class UserProfileBillingNotAuthorizedErrorDetails(Record):
    error_code: Literal["user_profile_billing_not_authorized"]


class UserProfileNotBillableErrorDetails(Record):
    error_code: Literal["user_profile_not_billable"]


class ThreadNotFoundErrorDetails(Record):
    error_code: Literal["thread_not_found"]


class SkillReadBlockedUndecryptableErrorDetails(Record):
    error_code: Literal["skill_read_blocked_undecryptable"]


class RequestBodyTooLargeAfterDecodingErrorDetails(Record):
    error_code: Literal["request_body_too_large_after_decoding"]


class ContractSpendLimitReachedErrorDetails(Record):
    error_code: Literal["contract_spend_limit_reached"]


class EnforcedSpendLimitReachedErrorDetails(Record):
    error_code: Literal["enforced_spend_limit_reached"]


class RampLimitExceededErrorDetails(Record):
    error_code: Literal["ramp_limit_exceeded"]


class CMEKKeyUnreachableErrorDetails(Record):
    error_code: Literal["cmek_key_unreachable"]


class CompactionUnavailableErrorDetails(Record):
    error_code: Literal["compaction_unavailable"]


class StorageQuotaExceededErrorDetails(Record):
    error_code: Literal["storage_quota_exceeded"]


class FileNotDownloadableErrorDetails(Record):
    error_code: Literal["file_not_downloadable"]


class FileExpiredErrorDetails(Record):
    error_code: Literal["file_expired"]


class CMEKContextUnavailableErrorDetails(Record):
    error_code: Literal["cmek_context_unavailable"]


class SandboxEgressRestrictedErrorDetails(Record):
    error_code: Literal["sandbox_egress_restricted"]


class UserProfileNotFoundErrorDetails(Record):
    error_code: Literal["user_profile_not_found"]


class OrgMemberLimitExceededErrorDetails(Record):
    error_code: Literal["org_member_limit_exceeded"]


class ConcurrentMembershipChangeErrorDetails(Record):
    error_code: Literal["concurrent_membership_change"]


class OrganizationTypeNotSupportedErrorDetails(Record):
    error_code: Literal["organization_type_not_supported"]


class ParentOrganizationRequiredErrorDetails(Record):
    error_code: Literal["parent_organization_required"]


class RBACRoleNotFoundErrorDetails(Record):
    error_code: Literal["rbac_role_not_found"]


class BetaOrganizationNotEnrolledInBetaErrorDetails(Record):
    error_code: Literal["organization_not_enrolled_in_beta"]


class BetaUnsupportedCharsetErrorDetails(Record):
    error_code: Literal["unsupported_charset"]


class BetaRequestBodyTimeoutErrorDetails(Record):
    error_code: Literal["request_body_timeout"]


ErrorDetails: TypeAlias = (
    AvailableToolsLimitExceededErrorDetails
    | ClaudeCodeKeyCreatorNotMemberErrorDetails
    | ClaudeCodeVersionTooOldErrorDetails
    | CMEKKeyDisabledErrorDetails
    | CMEKKeyNetworkBlockedErrorDetails
    | CompactionBlockAmbiguousErrorDetails
    | CompactionBlockMisplacedErrorDetails
    | CompactionContentMismatchErrorDetails
    | CompactionIncompleteTurnErrorDetails
    | CompactionNothingToSummarizeErrorDetails
    | CompactionSignatureInvalidErrorDetails
    | CompactionTooManyToolReferencesErrorDetails
    | CompactionToolChangesMismatchErrorDetails
    | OrganizationOnHoldErrorDetails
    | RequestBodyEncodingInvalidErrorDetails
    | RequestBodyEncodingUnsupportedErrorDetails
    | ThreadAlreadyContinuedErrorDetails
    | ThreadContinueInFlightErrorDetails
    | ThreadFingerprintMismatchErrorDetails
    | ThreadUnsupportedRequestErrorDetails
    | ToolNameConflictErrorDetails
    | ToolReferenceUnresolvedErrorDetails
    | UserProfileRequiredErrorDetails
    | LinkedOrganizationBillingUnavailableErrorDetails
    | LinkedOrganizationSpendLimitReachedErrorDetails
    | UserProfileBillingNotAuthorizedErrorDetails
    | UserProfileNotBillableErrorDetails
    | ThreadNotFoundErrorDetails
    | SkillReadBlockedUndecryptableErrorDetails
    | RequestBodyTooLargeAfterDecodingErrorDetails
    | ContractSpendLimitReachedErrorDetails
    | EnforcedSpendLimitReachedErrorDetails
    | RampLimitExceededErrorDetails
    | CMEKKeyUnreachableErrorDetails
    | CompactionUnavailableErrorDetails
    | StorageQuotaExceededErrorDetails
    | FileNotDownloadableErrorDetails
    | FileExpiredErrorDetails
    | CMEKContextUnavailableErrorDetails
    | SandboxEgressRestrictedErrorDetails
    | UserProfileNotFoundErrorDetails
    | OrgMemberLimitExceededErrorDetails
    | ConcurrentMembershipChangeErrorDetails
    | OrganizationTypeNotSupportedErrorDetails
    | ParentOrganizationRequiredErrorDetails
    | RBACRoleNotFoundErrorDetails
    | BetaOrganizationNotEnrolledInBetaErrorDetails
    | BetaUnsupportedCharsetErrorDetails
    | BetaRequestBodyTimeoutErrorDetails
)
