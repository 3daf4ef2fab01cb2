"""Messages to browsers: encrypted for one browser (RFC 8291), and signed by their sender (RFC 8292), with the
package ``cryptography`` of the extra ``push``.

https://www.rfc-editor.org/rfc/rfc8291, https://www.rfc-editor.org/rfc/rfc8188,
https://www.rfc-editor.org/rfc/rfc8292
"""

import base64
import json
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CURVE_POINT, SECRET = 65, 16  # bytes of a browser's public key, and of its secret
RECORD = 4096  # bytes that push services take; a message is one record
LIVES = 12 * 3600  # seconds that a signature holds; a day at most


def is_there() -> bool:
    """Return whether this process can encrypt."""
    return find_spec("cryptography") is not None


def encode(data: bytes) -> str:
    """Return bytes as base64url without padding, as all of this is written."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of base64url. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def new_key() -> str:
    """Return a private key on P-256."""
    from cryptography.hazmat.primitives.asymmetric import ec  # of an extra

    return encode(ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(32))


def public_key(private: str) -> str:
    """Return the point that belongs to a private key."""
    return encode(_point(_private(private)))


def check_browser(p256dh: str, auth: str) -> None:
    """Raise ValueError unless a browser's key is a point of P-256 and its secret has 16 bytes."""
    from cryptography.hazmat.primitives.asymmetric import ec

    point, secret = decode(p256dh), decode(auth)
    if len(point) != CURVE_POINT or len(secret) != SECRET:
        raise ValueError("a key of another length")
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def encrypt(text: bytes, p256dh: str, auth: str, private: str = "", salt: bytes = b"") -> bytes:
    """Return ``text`` as only the browser with this key and secret can read it. private, salt: new for each
    message; a test names them."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derived(salt: bytes, key: bytes, info: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, salt, info).derive(key)

    own, salt = _private(private or new_key()), salt or os.urandom(16)
    point, browser = _point(own), decode(p256dh)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), browser)
    shared = own.exchange(ec.ECDH(), theirs)
    key = derived(decode(auth), shared, b"WebPush: info\0" + browser + point, 32)
    cipher = AESGCM(derived(salt, key, b"Content-Encoding: aes128gcm\0", 16))
    nonce = derived(salt, key, b"Content-Encoding: nonce\0", 12)
    sealed = cipher.encrypt(nonce, text + b"\x02", None)  # 2 ends the last record
    return salt + RECORD.to_bytes(4) + bytes([len(point)]) + point + sealed


def authorization(private: str, endpoint: str, contact: str, now: float) -> str:
    """Return the header that says who sends to an endpoint. contact: an https or mailto address, "" = none.
    now: seconds since 1970."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    parts, key = urlsplit(endpoint), _private(private)
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(now) + LIVES}
    claims |= {"sub": contact} if contact else {}
    said = ".".join(
        encode(json.dumps(one, separators=(",", ":")).encode())
        for one in ({"typ": "JWT", "alg": "ES256"}, claims)
    )
    r, s = decode_dss_signature(key.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
    return f"vapid t={said}.{encode(r.to_bytes(32) + s.to_bytes(32))},k={encode(_point(key))}"


def _private(text: str) -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(decode(text)), ec.SECP256R1())


def _point(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
