"""Messages to browsers, by the example of RFC 8291 and read by a receiver that isn't ours."""

import json

import pytest

from core import web_push

pytest.importorskip("cryptography", reason="the extra push is missing")
# https://www.rfc-editor.org/rfc/rfc8291#section-5 and its appendix A
TEXT = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BROWSER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6P"
    "Bru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_a_message_is_encrypted_as_the_example_of_its_rfc() -> None:
    sealed = web_push.encrypt(TEXT, BROWSER, SECRET, SENDER, web_push.decode(SALT))
    assert web_push.encode(sealed) == SEALED
    assert web_push.encrypt(TEXT, BROWSER, SECRET) != web_push.encrypt(TEXT, BROWSER, SECRET)


def test_another_s_program_reads_a_message_and_its_signature() -> None:
    http_ece = pytest.importorskip("http_ece")
    vapid = pytest.importorskip("py_vapid")
    from cryptography.hazmat.primitives.asymmetric import ec

    number = int.from_bytes(web_push.decode(PRIVATE))
    own = ec.derive_private_key(number, ec.SECP256R1())
    for text in (TEXT, b"", "日本".encode() * 500):
        sealed = web_push.encrypt(text, BROWSER, SECRET)
        given = {"private_key": own, "auth_secret": web_push.decode(SECRET), "version": "aes128gcm"}
        assert http_ece.decrypt(sealed, **given) == text
    said = web_push.authorization(SENDER, "https://push.example.net/abc", "https://studio.example.org", 1e9)
    assert vapid.Vapid02.verify(said)


def test_a_signature_names_its_audience_and_ends_within_a_day() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    key = web_push.new_key()
    said = web_push.authorization(key, "https://push.example.net:8443/abc?d=e", "", 1000.0)
    token, sender = said.removeprefix("vapid t=").split(",k=")
    assert sender == web_push.public_key(key)
    signed, _dot, signature = token.rpartition(".")
    header, claims = (json.loads(web_push.decode(part)) for part in signed.split("."))
    assert header == {"typ": "JWT", "alg": "ES256"}
    assert claims == {"aud": "https://push.example.net:8443", "exp": 1000 + 12 * 3600}
    r, s = (int.from_bytes(web_push.decode(signature)[at : at + 32]) for at in (0, 32))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), web_push.decode(sender))
    public.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("key", "secret"),
    [("", SECRET), (BROWSER[:-4], SECRET), (BROWSER, SECRET + "AA"), ("B" + "A" * 86, SECRET), ("é", SECRET)],
)
def test_what_is_no_key_of_a_browser_is_refused(key: str, secret: str) -> None:
    web_push.check_browser(BROWSER, SECRET)
    with pytest.raises(ValueError):
        web_push.check_browser(key, secret)
