"""A role that is assumed for a bucket, and assumed again while its credential still has half of its life.

botocore renews a role's credential in its last quarter of an hour, which is good enough for calls and too late for
signing: a URL dies with the credential that signed it. Imports botocore inside the functions only.
"""

from __future__ import annotations

from typing import Any

from diffgram_flows.errors import AccessDenied, ConfigurationError
from diffgram_flows.storage.settings import StorageSettings

SESSION_NAME = "diffgram-flows"
"""What the owner of the role sees in CloudTrail."""


def assume_role(session: Any, settings: StorageSettings, *, connect: Any) -> None:
    """Give a botocore session the role's credential in place of its own, which is used to get it.

    Args:
        session: Whose clients shall act in the role.
        settings: Which role (``s3_role_*``, ``s3_external_id``).
        connect: botocore's configuration of the calls to STS.
    """
    from botocore.credentials import CredentialResolver

    own = session.get_component("credential_provider")
    session.register_component(
        "credential_provider", CredentialResolver([_RoleProvider(session, own, settings, connect)])
    )


class _RoleProvider:
    """What botocore asks for credentials."""

    METHOD = "assume-role"
    CANONICAL_NAME = None

    def __init__(self, session: Any, own: Any, settings: StorageSettings, connect: Any) -> None:
        self._session, self._own, self._settings, self._connect = session, own, settings, connect

    def load(self) -> Any:
        from botocore.credentials import RefreshableCredentials

        life = self._settings.s3_role_hours * 3600
        return RefreshableCredentials.create_from_metadata(
            self._assume(), self._assume, self.METHOD, advisory_timeout=life / 2, mandatory_timeout=life / 4
        )

    def _assume(self) -> dict[str, str]:
        from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

        own = self._own.load_credentials()
        if own is None:
            raise NoCredentialsError
        frozen = own.get_frozen_credentials()
        sts = self._session.create_client(
            "sts",
            region_name=self._settings.s3_region or self._session.get_config_variable("region") or "us-east-1",
            aws_access_key_id=frozen.access_key,
            aws_secret_access_key=frozen.secret_key,
            aws_session_token=frozen.token,
            config=self._connect,
        )
        external = {"ExternalId": self._settings.s3_external_id} if self._settings.s3_external_id else {}
        role = self._settings.s3_role_arn
        try:
            reply = sts.assume_role(
                RoleArn=role,
                RoleSessionName=SESSION_NAME,
                DurationSeconds=int(self._settings.s3_role_hours * 3600),
                **external,
            )
        except ClientError as error:
            raise _refused(role, error) from error
        except ParamValidationError as error:
            raise ConfigurationError(
                f"The role {role} cannot be assumed as the settings want it.",
                cure="Check s3_role_arn, s3_external_id and s3_role_hours.",
            ) from error
        finally:
            sts.close()
        given = reply["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }


def _refused(role: str | None, error: Any) -> AccessDenied:
    return AccessDenied(
        f"The role {role} may not be assumed ({error.response['Error'].get('Code', '')}).",
        cure="Let its trust policy name you and check s3_external_id; s3_role_hours must not be more than it allows.",
    )
