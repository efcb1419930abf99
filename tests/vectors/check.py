#!/usr/bin/env python3
"""Reads protocol/spec/vectors as somebody would who knows the specification alone.

Straight-line and slow on purpose; it shares no line with the implementation. It needs two packages:

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install cryptography kyber-py
    /tmp/venv/bin/python tests/vectors/check.py
"""

import hashlib
import hmac as mac
import json
import struct
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from kyber_py.ml_kem import ML_KEM_768, ML_KEM_1024

VECTORS = Path(__file__).resolve().parents[2] / "protocol" / "spec" / "vectors"
NET = b"main"


# ---- notation (session.md) -------------------------------------------------------------------

def H(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def LE32(number):
    return struct.pack("<I", number)


def LE64(number):
    return struct.pack("<Q", number)


def LP(data):
    return LE32(len(data)) + data


def HMAC(key, *parts):
    return mac.new(key, b"".join(parts), hashlib.sha256).digest()


def Expand(key, info, length):
    out, block = b"", b""
    for counter in range(1, 256):
        if len(out) >= length:
            break
        block = HMAC(key, block, info, bytes([counter]))
        out += block
    return out[:length]


def HKDF(salt, ikm, info, length):
    return Expand(HMAC(salt or bytes(32), ikm), info, length)


def DH(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def ed25519_public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def signed(kind, net, key, data, signature):
    """Signatures (identity.md)."""
    covered = b"godwit/sig/" + kind + b"/1" + LP(net) + data
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, covered)
        return True
    except InvalidSignature:
        return False


def quarter(state, a, b, c, d):
    for left, right, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[left] = (state[left] + state[right]) & 0xFFFFFFFF
        value = state[third] ^ state[left]
        state[third] = ((value << turn) | (value >> (32 - turn))) & 0xFFFFFFFF


def hchacha20(key, nonce):
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for lane in range(4):
            quarter(state, lane, 4 + lane, 8 + lane, 12 + lane)
        for lane in range(4):
            quarter(state, lane, 4 + (lane + 1) % 4, 8 + (lane + 2) % 4, 12 + (lane + 3) % 4)
    return struct.pack("<8I", *state[:4], *state[12:])


def aead_open(key, nonce, data, ad):
    """XChaCha20-Poly1305."""
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(bytes(4) + nonce[16:], data, ad)


class Reader:
    """Takes parts from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at : self.at + count]
        assert len(part) == count, "cut off"
        self.at += count
        return part

    def number(self, count):
        return int.from_bytes(self.take(count), "little")

    def lp(self):
        return self.take(self.number(4))

    def end(self):
        assert self.at == len(self.data), "trailing bytes"


def load(name):
    """The values of all parts of a file, by name."""
    parts = json.loads((VECTORS / name).read_text())
    values = {key: value for part in parts.values() for key, value in part.items()}
    return {key: value if key in ("words", "digits") else bytes.fromhex(value)
            for key, value in values.items()}


def same(what, got, want):
    assert got == want, f"{what}: {got.hex()} is not {want.hex()}"
    print(f"  {what}")


# ---- identity.md -----------------------------------------------------------------------------

def identity(v):
    seed = hashlib.pbkdf2_hmac("sha512", v["words"].encode(), b"mnemonic", 2048)
    root = ed25519_public(HKDF(b"", seed, b"godwit/acct/1/root-ed25519", 32))
    account = H(b"godwit/account/1", root, bytes(32))
    same("account", account, v["account"])
    dk, ik = ed25519_public(v["device.dk.seed"]), x25519_public(v["device.ik.secret"])
    same("device", H(b"godwit/device/1", dk, ik), v["device"])
    genesis(v["genesis"], account, root, (dk, ik))
    print("  genesis")


def genesis(entry, account, root, device):
    reader = Reader(entry[:-64])
    assert reader.take(1) == b"\1" and reader.take(32) == account
    sequence, previous = reader.take(8), reader.take(32)
    assert sequence == bytes(8) and previous == bytes(32)
    reader.take(8)
    assert reader.take(32) == root and reader.take(2) == b"\1\1"
    dk, ik, admin, accept = reader.take(32), reader.take(32), reader.take(1), reader.take(64)
    reader.end()
    assert device is None or (dk, ik) == device
    assert admin == b"\1"
    assert signed(b"sigchain-accept", b"", dk, account + sequence + dk + ik + admin, accept)
    assert signed(b"sigchain", b"", root, entry[:-64], entry[-64:])
    return dk, ik


def safety(line):
    """Half a safety number, of account 32 x 01 and genesis hash 32 x 02."""
    account, chain = b"\1" * 32, b"\2" * 32
    state = hashlib.sha512(b"godwit/safety/1" + account + chain).digest()
    for _ in range(5199):
        state = hashlib.sha512(state + account + chain).digest()
    groups = [int.from_bytes(state[at : at + 5], "big") % 100000 for at in range(0, 30, 5)]
    assert " ".join(f"{group:05}" for group in groups) == line, groups
    print("  safety number")


# ---- session.md ------------------------------------------------------------------------------

def bundle(v):
    data = v["bob.bundle"]
    reader = Reader(data[:-64])
    assert reader.take(1) == b"\1" and reader.lp() == NET
    b = {"dk": reader.take(32), "ik": reader.take(32), "spk": reader.take(32)}
    b["pqpk"], b["seal"] = reader.take(1568), reader.take(1216)
    b["spk.id"], b["pqpk.id"], b["seal.id"] = (reader.number(4) for _ in range(3))
    for _ in range(reader.number(1)):
        reader.take(64)
    reader.take(16)
    published, expires, _ = reader.number(8), reader.number(8), reader.number(8)
    reader.end()
    assert expires - published <= 10 * 86_400_000
    assert signed(b"bundle", NET, b["dk"], data[:-64], data[-64:])
    same("bundle's device", H(b"godwit/device/1", b["dk"], b["ik"]), v["bob.device"])
    same("bundle's SPK", b["spk"], x25519_public(v["bob.spk.secret"]))
    return b


def xwing(seed):
    """X-Wing's key pair from its seed: ML-KEM-768 and X25519."""
    wide = hashlib.shake_256(seed).digest(96)
    public, secret = ML_KEM_768.key_derive(wide[:64])
    return public, secret, wide[64:], x25519_public(wide[64:])


def unseal(v, b):
    """HPKE base mode (RFC 9180) with X-Wing, HKDF-SHA-256, ChaCha20-Poly1305 (envelope.md)."""
    reader = Reader(v["sealed"])
    assert reader.number(4) == b["seal.id"]
    kem_ct, dh_ct = reader.take(1088), reader.take(32)
    body = reader.take(len(v["sealed"]) - 1124)
    kem_public, kem_secret, dh_secret, dh_public = xwing(v["bob.seal.seed"])
    same("seal key", kem_public + dh_public, b["seal"])
    parts = ML_KEM_768.decaps(kem_secret, kem_ct), DH(dh_secret, dh_ct)
    shared = hashlib.sha3_256(b"".join(parts) + dh_ct + dh_public + b"\\.//^\\").digest()

    suite = b"HPKE" + bytes.fromhex("647a00010003")

    def extract(salt, label, ikm):
        return HMAC(salt or bytes(32), b"HPKE-v1", suite, label, ikm)

    def expand(prk, label, info, length):
        return Expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + info, length)

    info = b"godwit/seal/1" + v["bob.device"]
    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    key, nonce = expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)
    plain = ChaCha20Poly1305(key).decrypt(nonce, body, b"")
    same("handshake in the seal", plain[:1778], v["handshake"])
    same("message in the seal", plain[1778:], v["message.0"])


def respond(v, b):
    reader = Reader(v["handshake"])
    generation, cause, via = reader.take(4), reader.take(1), reader.take(1)
    ids = [reader.take(32) for _ in range(4)]
    ik_a, ek_a = reader.take(32), reader.take(32)
    spk_id, opk_id, pqpk_id = (reader.take(4) for _ in range(3))
    ct = reader.take(1568)
    reader.end()
    assert ids[1] == v["bob.account"] and ids[3] == v["bob.device"] and opk_id == bytes(4)
    assert ids[0] == v["alice.account"] and ids[2] == v["alice.device"]
    suite = b"X25519 ML-KEM-1024 ML-KEM-768 XChaCha20-Poly1305 SHA-256"
    th = H(b"godwit/gw1/th", b"\1", LP(suite), LP(NET), generation, cause, via,
           *(LP(part) for part in ids), LP(ik_a), LP(b["ik"]), LP(ek_a),
           LP(b["spk"] + spk_id), LP(b""), LP(b["pqpk"] + pqpk_id), LP(ct))
    public, secret = ML_KEM_1024.key_derive(v["bob.pqpk.seed"])
    assert public == b["pqpk"]
    agreed = (DH(v["bob.spk.secret"], ik_a), DH(v["bob.ik.secret"], ek_a),
              DH(v["bob.spk.secret"], ek_a), ML_KEM_1024.decaps(secret, ct))
    keys = HKDF(th, b"\xff" * 32 + b"".join(agreed), b"godwit/gw1/pqxdh/1", 160)
    same("session id", H(b"godwit/gw1/session-id", th)[:16], v["session_id"])
    names = ("rk", "hk_a", "nhk_b", "pq0", "qr")
    return dict(zip(names, (keys[at : at + 32] for at in range(0, 160, 32))), th=th)


def open_messages(v, s):
    """Bob opens the two messages of Alice's first chain, the later one first."""
    chain = pq_chain = None
    _, pq_chain, _ = (Expand(s["pq0"], b"godwit/gw1/pq/root", 96)[at : at + 32] for at in (0, 32, 64))
    skipped = {}
    for name in ("message.1", "message.0"):
        data = v[name]
        assert data[:1] == b"\1"
        hnonce = data[1:25]
        header = Reader(aead_open(s["hk_a"], hnonce, data[25:93], b"godwit/gw1/hdr\1"))
        dh = header.take(32)
        _, n, epoch, _, pq_n = (header.number(4) for _ in range(5))
        header.end()
        assert epoch == 0
        if chain is None:
            chain = HKDF(s["rk"], DH(v["bob.spk.secret"], dh), b"godwit/gw1/root", 96)[32:64]
            for number in range(n + 1):
                skipped["ec", number], chain = HMAC(chain, b"\1"), HMAC(chain, b"\2")
            for number in range(pq_n + 1):
                skipped["pq", number], pq_chain = HMAC(pq_chain, b"\3"), HMAC(pq_chain, b"\4")
        ec, pq = skipped["ec", n], skipped["pq", pq_n]
        keys = HKDF(pq, ec, b"godwit/gw1/msg" + s["th"] + hnonce, 88)
        assert keys[56:] == data[93:125], "commitment"
        body = aead_open(keys[:32], keys[32:56], data[125:], s["th"] + data[:125])
        same(name, body.rstrip(b"\0")[:-1], v["content"])


def ratchet(v, s, bob_spk):
    """Follows both sides through rounds: one DH step and one chain each, messages out of order."""
    rk, th = s["rk"], s["th"]
    next_header = {0: s["hk_a"], 1: s["nhk_b"]}
    dh_public = {}
    pq_root, *pq = (Expand(s["pq0"], b"godwit/gw1/pq/root", 96)[at : at + 32] for at in (0, 32, 64))
    pq_chains, pq_keys, epoch = {(0, 0): pq[0], (0, 1): pq[1]}, {}, 0
    offer, count = None, 0
    for number in range(8):
        side = number % 2
        header_key, chain, ec_keys = next_header[side], None, {}
        if f"r{number}.kem" in v:
            offer = ML_KEM_768.key_derive(v[f"r{number}.kem"])
        part = None
        for name in [name for name in v if name.startswith(f"r{number}.m")]:
            data = v[name]
            hnonce = data[1:25]
            header = Reader(aead_open(header_key, hnonce, data[25:93], b"godwit/gw1/hdr\1"))
            dh = header.take(32)
            _, n, pq_epoch, _, pq_n = (header.number(4) for _ in range(5))
            if chain is None:
                dh_public[side] = dh
                if number == 0:
                    agreed = DH(bob_spk, dh)
                else:
                    agreed = DH(v[f"r{number}.dh"], dh_public[1 - side])
                    assert x25519_public(v[f"r{number}.dh"]) == dh
                step = HKDF(rk, agreed, b"godwit/gw1/root", 96)
                rk, chain, next_header[side] = step[:32], step[32:64], step[64:]
            while n not in ec_keys:
                ec_keys[len(ec_keys)], chain = HMAC(chain, b"\1"), HMAC(chain, b"\2")
            while (pq_epoch, side, pq_n) not in pq_keys:
                at = sum(1 for known in pq_keys if known[:2] == (pq_epoch, side))
                key = pq_chains[pq_epoch, side]
                pq_keys[pq_epoch, side, at] = HMAC(key, b"\3")
                pq_chains[pq_epoch, side] = HMAC(key, b"\4")
            keys = HKDF(pq_keys[pq_epoch, side, pq_n], ec_keys[n], b"godwit/gw1/msg" + th + hnonce, 88)
            assert keys[56:] == data[93:125], "commitment"
            body = aead_open(keys[:32], keys[32:56], data[125:], th + data[:125]).rstrip(b"\0")
            assert body[-1:] == b"\x80"
            if len(body) > 1000:
                part = body[:-1]
            else:
                assert body[:-1].decode() == f"round {number}, message {name[4:]}"
            count += 1
        if part is not None and part[:1] == b"\1":
            assert part[1:5] == LE32(epoch + 1) and part[5:] == offer[0]
        elif part is not None:
            epoch += 1
            assert part[:5] == b"\2" + LE32(epoch)
            shared = ML_KEM_768.decaps(offer[1], part[5:])
            info = b"godwit/gw1/pq/root" + LE32(epoch) + H(offer[0]) + H(part[5:]) + th
            step = HKDF(pq_root, shared, info, 96)
            pq_root, pq_chains[epoch, 0], pq_chains[epoch, 1] = step[:32], step[32:64], step[64:]
    used = {known[0] for known in pq_keys}
    assert count == 40 and epoch == 2 and used == {0, 1, 2}, (count, epoch, used)
    print(f"  {count} messages of the ratchet, epochs {sorted(used)}")


def content(v):
    reader = Reader(v["content"])
    assert reader.take(3) == b"\1\1\0", "a text of version 1"
    assert reader.take(16) == b"\7" * 16 and reader.take(32) == b"\x08" * 32
    assert reader.take(1) == b"\1"
    reader.take(8)
    assert [reader.take(16) for _ in range(reader.number(1))] == [b"\6" * 16]
    reader.take(48)
    assert reader.lp() == b"hello"
    reader.end()
    print("  content")


def queues(v, s):
    root = Expand(s["qr"], b"godwit/gw1/queue/i2r", 32)
    queue = Expand(root, b"godwit/gw1/queue/id" + LE32(0), 32)
    same("queue", queue, v["queue.0"])
    deposit = Expand(root, b"godwit/gw1/queue/deposit" + LE32(0), 32)
    token = HMAC(deposit, b"godwit/token/1", LP(NET), LP(b"\x09" * 32))
    same("token", token, v["token"])
    same("token's hash", H(b"godwit/token-hash/1", token), v["token.hash"])
    e = Reader(v["envelope"])
    assert e.take(32) == queue
    same("envelope id", e.take(16), H(v["message.1"])[:16])
    same("envelope id", v["envelope.id"], H(v["message.1"])[:16])
    e.take(16)
    assert e.number(4) == 500_000
    same("revoke hash", e.take(32), H(b"godwit/revoke/1", b"\5" * 16))
    same("envelope's bytes", e.take(2048), v["message.1"])
    e.end()


# ---- mailbox.md ------------------------------------------------------------------------------

def mailbox(v):
    queue = b"\2" * 32
    leaves = [H(b"godwit/deposit-leaf/1", queue, bytes([number]) * 32, LE32(500_000), LE64(number))
              for number in range(3)]
    same("leaf", leaves[1], v["leaf.1"])
    node = H(b"godwit/deposit-node/1", leaves[0], leaves[1])
    root = H(b"godwit/deposit-node/1", node, leaves[2])
    same("root", root, v["root"])
    host = ed25519_public(v["host.seed"])
    receipt = host + LE32(499_000) + b"\3" * 16 + root
    assert signed(b"deposit-receipt", NET, host, receipt, v["receipt.signature"])
    print("  receipt")
    path = LE32(1) + LE32(3) + b"\2" + leaves[0] + leaves[2]
    proof = receipt + v["receipt.signature"] + path + queue + b"\1" * 32 + LE32(500_000) + LE64(1)
    same("proof", proof, v["proof.1"])
    same("not_served", b"\1" + b"\7" * 16 + b"\x08" * 16 + LE32(500_001) + proof, v["not_served"])
    proof = HMAC(b"\1" * 16, b"godwit/invite/host/1", LP(b"\x09" * 32))
    same("invite", proof, v["invite.host_proof"])


# ---- records.md ------------------------------------------------------------------------------

def records(v):
    data = v["record"]
    signer, signature = data[-96:-64], data[-64:]
    reader = Reader(data[:-96])
    assert reader.take(1) == b"\1" and reader.lp() == NET
    account, root = reader.take(32), reader.take(32)
    assert account == H(b"godwit/account/1", root, bytes(32))
    sequence, expires = reader.number(8), reader.number(8)
    assert expires - 1000 * sequence <= 14 * 86_400_000 + 600_000
    dk, ik = genesis(reader.lp(), account, root, None)
    hosts = []
    for _ in range(reader.number(1)):
        host = reader.take(32)
        hosts.append((host, [reader.lp() for _ in range(reader.number(1))]))
    assert hosts == [(b"\2" * 32, [b"/ip4/203.0.113.7/tcp/7447"])]
    assert reader.number(1) == 1
    device, k = reader.take(32), reader.number(1)
    assert device == H(b"godwit/device/1", dk, ik) and k == 1
    assert [reader.number(1) for _ in range(reader.number(1))] == [0]
    reader.end()
    assert signer == dk and signed(b"account-record", NET, dk, data[:-64], signature)
    print("  account record")
    same("its key", H(b"godwit/account-record/1", account), v["record.key"])
    same("the bundle's key", H(b"godwit/prekeys/1", device), v["bundle.key"])


# ---- frames (streams.md) ---------------------------------------------------------------------

def many(items):
    return LE64(len(items)) + b"".join(items)


def data(content):
    return LE64(len(content)) + content


def maybe(content):
    return b"\0" if content is None else b"\1" + content


def frames(v):
    """Each frame built from the tables."""
    owner, queue, host, account = (bytes([it]) * 32 for it in (0xA1, 0xA2, 0xA3, 0xA4))
    sig = LE64(64) + b"\xa5" * 64
    hour = LE32(500_000)
    fence = host + owner + LE64(7) + b"\xa6" * 16 + LE64(8) + sig
    ids = [b"\xa8" * 16, b"\xa9" * 16]
    registered = [queue + LE32(0) + b"\xa7" * 32 + LE32(9), queue + LE32(1) + LE32(9)]
    requests = [
        ("prove", 0, owner + sig),
        ("admit.public", 1, owner + LE32(0) + maybe(b"\xb5" * 16)),
        ("admit.private", 1, owner + LE32(1) + maybe(None)),
        ("register", 2, owner + many(registered)),
        ("drop", 3, owner + many([queue])),
        ("publish", 4, owner + account + many([data(b"\xb0" * 3), data(b"")])),
        ("invite", 5, owner + queue + b"\xb2" * 32 + hour),
        ("fetch.public", 6, owner + maybe(None)),
        ("fetch.private", 6, owner + maybe(fence)),
        ("ack", 7, owner + many(ids) + maybe(fence)),
        ("erase", 8, owner),
        ("get_card", 9, account),
        ("open.token", 10, queue + LE32(0) + b"\xb6" * 32),
        ("open.invite", 10, queue + LE32(1) + b"\xb7" * 32),
        ("open.stamp", 10, queue + LE32(2)),
        ("deposit", 11, data(b"\xb8" * 5) + b"\xb9" * 8),
        ("revoke", 12, queue + b"\xa8" * 16 + b"\xb4" * 16),
    ]
    path = LE32(1) + LE32(3) + many([b"\xbc" * 32, b"\xbd" * 32])
    receipt = host + hour + b"\xba" * 16 + b"\xbb" * 32 + sig
    answers = [
        ("done", 0, b""),
        ("opened", 1, LE64(11)),
        ("fetching", 2, LE64(12) + maybe(fence)),
        ("deposited", 3, receipt + path + hour + LE64(13)),
        ("card", 4, many([data(b"\xbe" * 2)])),
        ("erased", 5, hour + sig),
        ("refused.rejected", 6, LE32(0)),
        ("refused.busy", 6, LE32(1) + LE32(60_000)),
        ("refused.not_found", 6, LE32(2)),
        ("refused.full", 6, LE32(3)),
    ]
    hello = b"\xbf" * 32 + LE64(1_700_000_000_000) + b"\xba" * 16 + bytes([19])
    built = {"hello": LE32(0) + hello}
    built |= {name: LE32(1) + LE32(14) + LE32(number) + rest for name, number, rest in requests}
    built |= {name: LE32(2) + LE32(14) + LE32(number) + rest for name, number, rest in answers}
    built["item"] = LE32(3) + owner + data(b"\xb8" * 5)
    built["end"] = LE32(4) + owner
    built["full"] = LE32(5) + owner + queue
    assert built.keys() == v.keys(), built.keys() ^ v.keys()
    for name, frame in built.items():
        same(name, frame, v[name])


def main():
    v = load("wire.json")
    identity(v)
    safety(load("safety.json")["digits"])
    b = bundle(v)
    unseal(v, b)
    s = respond(v, b)
    open_messages(v, s)
    ratchet(load("ratchet.json"), s, v["bob.spk.secret"])
    content(v)
    queues(v, s)
    mailbox(v)
    records(load("records.json"))
    frames(load("frames.json"))
    print("every vector holds")


if __name__ == "__main__":
    main()
