"""Content credentials (C2PA, https://spec.c2pa.org/): a signed statement in a picture or film of how it came
to be, by a certificate of the host's. Needs the extra ``c2pa``; nothing is asked of other machines."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

from core.errors import AtelierError

MISSING = "C2PA_CERTIFICATE: needs the extra c2pa, make setup EXTRAS=c2pa."
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ROOM = 20_000  # bytes that a statement and a chain of certificates take, at most
SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


class Credentials:
    """Signs what leaves. name: of this certificate, for what is kept signed."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """certificate: PEM, the host's own first, then those that vouch for it. key: PEM, without a password.

        Raises AtelierError for files that can't be read or don't go together, and where the extra is missing.
        """
        try:
            import c2pa
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError as error:
            raise AtelierError(MISSING) from error
        try:
            chain, private = certificate.read_bytes(), key.read_bytes()
            algorithm = _algorithm(load_pem_private_key(private, None))
            info = c2pa.C2paSignerInfo(
                alg=algorithm.encode(), sign_cert=chain, private_key=private, ta_url=None
            )
            self._signer = c2pa.Signer.from_info(info)
        except (OSError, ValueError, TypeError, c2pa.C2paError) as error:
            raise AtelierError(f"C2PA_CERTIFICATE and C2PA_KEY can't be used: {error}") from error
        self._c2pa = c2pa
        self._context = c2pa.Context(settings=c2pa.Settings.from_json(json.dumps(SETTINGS)))
        self.name = hashlib.sha256(chain).hexdigest()[:8]
        try:
            self.sign(_SMALLEST, "image/gif", "trainedAlgorithmicMedia")
        except ValueError as error:
            raise AtelierError(f"C2PA_CERTIFICATE and C2PA_KEY can't be used: {error}") from error

    def sign(self, data: bytes, media_type: str, source: str) -> bytes:
        """Return a picture or film with the statement that it is ``source``, IPTC's word for how it came to
        be. Raises ValueError when it can't be signed."""
        created = {"action": "c2pa.created", "digitalSourceType": SOURCES + source}
        statement = {
            "claim_generator_info": [{"name": "Atelier"}],
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}],
        }
        out = io.BytesIO()
        try:
            builder = self._c2pa.Builder(json.dumps(statement), context=self._context)
            builder.sign(self._signer, media_type, io.BytesIO(data), out)
        except self._c2pa.C2paError as error:
            raise ValueError(f"a {media_type} can't be signed: {error}") from error
        return out.getvalue()


def _algorithm(key: Any) -> str:
    """Return C2PA's name for the signatures that a private key makes. Raises ValueError for other keys."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match key:
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case rsa.RSAPrivateKey():
            return "ps256"
        case ec.EllipticCurvePrivateKey() if (bits := key.curve.key_size) in (256, 384, 521):
            return {256: "es256", 384: "es384", 521: "es512"}[bits]
    raise ValueError("the key is neither RSA, Ed25519 nor of the curves P-256, P-384 and P-521")


_SMALLEST = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024401003b")  # a GIF
