"""Tokens that lie in Secrets: what a Secret of type `kubernetes.io/service-account-token` holds.

Serves programs outside the cluster that cannot renew a token (pods get theirs from their node, step 4
of the walk). Whoever makes such a Secret and names an account in its annotation finds a token, the
cluster's CA and the namespace in it. Such a token does not expire: it ends with its Secret, and the
Secret goes with its account.
"""

import base64
from collections.abc import Mapping

from api import objects
from api.core import Secret, ServiceAccount
from api.deletion import delete_if_there
from api.errors import is_not_found
from api.objects import Key
from base.errors import PodwrightError
from control.auth.tokens import claims
from control.controllers.context import Context
from control.controllers.controller import Controller

TYPE = "kubernetes.io/service-account-token"
_ACCOUNT = "account"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


class TokenSecretController(Controller):
    """Fills Secrets, and removes those whose account is gone."""

    name = "serviceaccount-token-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._secrets = context.informers.of(Secret)
        self._accounts = context.informers.of(ServiceAccount)
        self._secrets.add_index(_ACCOUNT, _account_of)
        self._secrets.subscribe(lambda old, new: self._on_secret(new))
        self._accounts.subscribe(lambda old, new: self._on_account(old or new))

    def _on_secret(self, secret: Secret | None) -> None:
        if secret is not None and secret.type == TYPE:
            self.enqueue(secret)

    def _on_account(self, account: ServiceAccount | None) -> None:
        if account is None:
            return
        for secret in self._secrets.by_index(_ACCOUNT, str(objects.key(account))):
            self.enqueue(secret)

    async def reconcile(self, key: Key) -> float | None:
        secret = self._secrets.get(key.name, key.namespace)
        if secret is None or secret.type != TYPE or secret.metadata.deletion_timestamp:
            return None
        account = await self._account(secret)
        if account is None:
            await self._remove(secret)
        elif changes := self._missing(secret, account):
            await self._fill(secret, account, changes)
        return None

    async def _account(self, secret: Secret) -> ServiceAccount | None:
        """The account the Secret is for; asked for anew before anybody takes it for gone."""
        name, namespace = secret.metadata.annotations.get(NAME, ""), secret.metadata.namespace
        found = self._accounts.get(name, namespace)
        if found is None or not _belongs(secret, found):
            try:
                found = await self.client.get(ServiceAccount, name, namespace)
            except PodwrightError as error:
                if not is_not_found(error):
                    raise
                return None
        return found if _belongs(secret, found) else None

    async def _remove(self, secret: Secret) -> None:
        metadata = secret.metadata
        self.log.info(
            "deleting secret %s/%s: its service account %s is gone",
            metadata.namespace,
            metadata.name,
            metadata.annotations.get(NAME, ""),
        )
        await delete_if_there(self.client, secret)

    def _missing(self, secret: Secret, account: ServiceAccount) -> Mapping[str, bytes]:
        """What has to be written into it."""
        keys, metadata = self.context.tokens, secret.metadata
        wanted = {"namespace": metadata.namespace.encode(), "ca.crt": self.context.ca.cert_pem}
        changes = {name: value for name, value in wanted.items() if secret.data.get(name) != value}
        if not secret.data.get("token") and keys is not None:
            said = claims.legacy(
                namespace=metadata.namespace,
                secret=metadata.name,
                account=account.metadata.name,
                uid=account.metadata.uid,
            )
            changes["token"] = keys.sign(claims.encode(said)).encode()
        return changes

    async def _fill(
        self, secret: Secret, account: ServiceAccount, changes: Mapping[str, bytes]
    ) -> None:
        metadata = secret.metadata
        body = {
            "metadata": {
                "annotations": {UID: account.metadata.uid},
                "resourceVersion": metadata.resource_version,
            },
            "data": {name: base64.b64encode(value).decode() for name, value in changes.items()},
        }
        await self.client.patch(Secret, metadata.name, metadata.namespace, body)


def _belongs(secret: Secret, account: ServiceAccount) -> bool:
    """Whether it is this very account, and not one that was made anew under its name."""
    uid = secret.metadata.annotations.get(UID, "")
    return not uid or uid == account.metadata.uid


def _account_of(secret: Secret) -> list[str]:
    """The account that the token is for."""
    if secret.type != TYPE:
        return []
    metadata = secret.metadata
    return [str(Key(metadata.namespace, metadata.annotations.get(NAME, "")))]
