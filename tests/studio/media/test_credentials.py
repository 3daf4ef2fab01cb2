"""Content credentials: signed statements by the host's certificate, read back by C2PA's own reader."""

import datetime
import io
import json
from pathlib import Path

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from core.errors import AtelierError, SettingsError
from core.settings import load_settings
from host.doctor_services import check_certificate
from studio.media.provenance import MARK_BYTES, ROOM, Credentials, Marker
from tests.security.hostile import encode
from tests.support.videos import moving
from vision.video.codecs import encoder_of
from vision.video.reader import VideoReader
from vision.video.writer import VideoWriter

SOURCE = "trainedAlgorithmicMedia"
KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


def certified(folder: Path, key=None) -> tuple[Path, Path]:
    """A certificate by an authority of its own, and its key."""
    above, key = KEYS["P-256"](), key or KEYS["P-256"]()
    chain = _certificate("host", key, above, mine=False) + _certificate("authority", above, above, mine=True)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    for path, data in zip(paths, (chain, private), strict=True):
        path.write_bytes(data)
    return paths


def _certificate(name: str, key, above, *, mine: bool) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    no = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    usage = x509.KeyUsage(digital_signature=not mine, key_cert_sign=mine, crl_sign=mine, **no)
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=mine, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
        .add_extension(usage, critical=True)
    )
    if not mine:
        for_signing = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        made = made.add_extension(for_signing, critical=False)
    return made.sign(above, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _named(name: str) -> x509.Name:
    known = {NameOID.COMMON_NAME: name, NameOID.ORGANIZATION_NAME: "Studio", NameOID.COUNTRY_NAME: "DE"}
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in known.items()])


def picture(kind: str) -> bytes:
    return encode(Image.effect_noise((64, 48), 80).convert("RGB"), kind)


def clip() -> bytes:
    out = io.BytesIO()
    writer = VideoWriter(out, (64, 48), 8, encoder_of("auto"))
    writer.write(np.stack([np.asarray(frame) for frame in moving(8)]))
    writer.finish()
    return out.getvalue()


def said(data: bytes, media_type: str) -> tuple[str, str, str]:
    """What C2PA's reader finds: whether it is valid, who signed, how it came to be."""
    found = json.loads(c2pa.Reader(media_type, io.BytesIO(data)).json())
    manifest = found["manifests"][found["active_manifest"]]
    [actions] = [one["data"]["actions"] for one in manifest["assertions"] if "actions" in one["label"]]
    return (
        found["validation_state"],
        manifest["signature_info"]["issuer"],
        actions[0]["digitalSourceType"].rpartition("/")[2],
    )


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        *((f"image/{form.lower()}", picture(form)) for form in ("PNG", "WEBP", "JPEG", "GIF")),
        ("video/mp4", clip()),
    ],
)
async def test_what_leaves_is_signed_and_little_larger(tmp_path, media_type: str, data: bytes) -> None:
    marker = Marker(ai_mark=True, credentials=Credentials(*certified(tmp_path)))
    signed = await marker.mark(data, media_type, source=SOURCE)
    assert said(signed, media_type) == ("Valid", "Studio", SOURCE)
    assert len(signed) - len(data) <= marker.room == MARK_BYTES + ROOM
    plain = await marker.mark(data, media_type, source=SOURCE, sign=False)
    assert len(plain) - len(data) <= MARK_BYTES and b"c2pa" not in plain
    assert await marker.mark(data, media_type, source=None) == await Marker(ai_mark=False).mark(
        data, media_type, source=None
    )


async def test_frames_are_what_they_were(tmp_path) -> None:
    marker = Marker(ai_mark=True, credentials=Credentials(*certified(tmp_path)))
    video, signed = clip(), await marker.mark(clip(), "video/mp4", source=SOURCE)
    with VideoReader(io.BytesIO(video)) as before, VideoReader(io.BytesIO(signed)) as after:
        for one, other in zip(before.chunks(), after.chunks(), strict=True):
            assert (one == other).all()
    png = picture("PNG")
    shown = Image.open(io.BytesIO(await marker.mark(png, "image/png", source=SOURCE)))
    assert shown.tobytes() == Image.open(io.BytesIO(png)).tobytes()


async def test_a_byte_changed_after_signing_is_found(tmp_path) -> None:
    marker = Marker(ai_mark=True, credentials=Credentials(*certified(tmp_path)))
    signed = bytearray(await marker.mark(picture("JPEG"), "image/jpeg", source=SOURCE))
    signed[-20] ^= 1
    assert said(bytes(signed), "image/jpeg")[0] == "Invalid"


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind_that_c2pa_takes(tmp_path, kind: str) -> None:
    credentials = Credentials(*certified(tmp_path, KEYS[kind]()))
    assert said(credentials.sign(picture("PNG"), "image/png", SOURCE), "image/png")[0] == "Valid"


def test_what_cannot_sign_is_told_at_the_start(tmp_path) -> None:
    certificate, key = certified(tmp_path)
    key.write_text("no key")
    with pytest.raises(AtelierError, match="C2PA_CERTIFICATE and C2PA_KEY can't be used"):
        Credentials(certificate, key)
    assert check_certificate(certificate, key).ok is False and check_certificate(*certified(tmp_path)).ok
    certificate.write_text("no certificate")
    (tmp_path / "other").mkdir()
    _, key = certified(tmp_path / "other")
    with pytest.raises(AtelierError, match="can't be used"):
        Credentials(certificate, key)


def test_one_without_the_other_is_no_setting(tmp_path) -> None:
    certificate, _ = certified(tmp_path)
    values = {"DATA_DIR": str(tmp_path), "C2PA_CERTIFICATE": str(certificate)}
    with pytest.raises(SettingsError, match="each needs the other"):
        load_settings(values, tmp_path / "none.env")
    with pytest.raises(SettingsError, match="C2PA_KEY=.*no such file"):
        load_settings({**values, "C2PA_KEY": str(tmp_path / "gone.pem")}, tmp_path / "none.env")
