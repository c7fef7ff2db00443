"""Providers, their stored keys, and what answers which model name, over the admin API. A key is never told again."""

from collections import Counter

from dragoman.errors import ConfigError, InvalidRequest, NotFound
from dragoman.gateway.config.config import OFFLINE, ProviderConfig, why_no_start
from dragoman.gateway.credentials.stored import Credentials
from dragoman.store.credentials import CredentialRecord

from .asking import Asking
from .own_types import Credential, CredentialDeleted, List, Provider, Route, RouteTarget

__all__ = ["add_credential", "delete_credential", "list_credentials", "list_providers", "list_routes"]


async def list_providers(asking: Asking) -> List[Provider]:
    """Those of the configuration, in its order."""
    config = asking.gateway.config
    live = await _credentials(asking).store.live()
    stored = Counter(record.provider for record in live)
    return List(data=[_provider(asking, each, stored[each.name]) for each in config.providers.values()])


async def list_credentials(asking: Asking) -> List[Credential]:
    """Those that have not ended, newest first."""
    provider = _find(asking)
    live = await _credentials(asking).store.live()
    return List(data=[_credential(record) for record in live if record.provider == provider.name])


async def add_credential(asking: Asking) -> Credential:
    """Another process asks the provider with it within seconds, this one at once."""
    provider = _find(asking)
    try:
        record = await _credentials(asking).add(provider, asking.body.key, name=asking.body.name)
    except ConfigError as error:
        raise InvalidRequest(f"key: {error}") from error
    await asking.gateway.provider_keys.refresh()
    return _credential(record)


async def delete_credential(asking: Asking) -> CredentialDeleted:
    """For good: what was kept of it is erased. Twice is 404."""
    provider, credential_id = _find(asking), asking.ids["credential_id"]
    live = await _credentials(asking).store.live()
    if not any(record.id == credential_id and record.provider == provider.name for record in live):
        raise NotFound("Credential not found.")  # its id is not repeated: it may be a key, given by mistake
    await _credentials(asking).end(credential_id)
    await asking.gateway.provider_keys.refresh()
    return CredentialDeleted(id=credential_id)


async def list_routes(asking: Asking) -> List[Route]:
    """The names of the configuration, and then what answers every other name."""
    config = asking.gateway.config
    routes = [
        Route(
            model=name,
            policy=route.policy,
            targets=[_target(asking, str(target)) for target in route.targets],
            origin=route.origin,
        )
        for name, route in config.models.items()
    ]
    default = config.route_provider
    others = RouteTarget(target=default.name, breaker="closed")
    return List(data=[*routes, Route(model=None, policy="ordered", targets=[others], origin=default.origin)])


def _target(asking: Asking, name: str) -> RouteTarget:
    return RouteTarget(target=name, breaker=asking.gateway.dispatch.state(name))


def _credentials(asking: Asking) -> Credentials:
    return asking.gateway.provider_keys.credentials


def _find(asking: Asking) -> ProviderConfig:
    name = asking.ids["name"]
    found = asking.gateway.config.providers.get(name)
    if found is None:
        raise NotFound(f"Provider {name[:100]} not found.")
    return found


def _provider(asking: Asking, provider: ProviderConfig, stored: int) -> Provider:
    is_ready = bool(stored) or provider.dialect == OFFLINE or why_no_start(provider) is None
    return Provider(
        name=provider.name,
        dialect=provider.dialect,
        host=provider.host,
        base_url=provider.base_url or None,
        is_default=provider.name == asking.gateway.config.route_provider.name,
        has_key=provider.api_key is not None,
        credentials=stored,
        state="ready" if is_ready else "lacks_key",
    )


def _credential(record: CredentialRecord) -> Credential:
    return Credential(
        id=record.id,
        provider=record.provider,
        name=record.name,
        partial_key_hint=record.hint,
        created_at=record.created_at,
    )
