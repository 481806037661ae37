"""The agent's identity: an Ed25519 key pair made here, and the id that the first welcome gave."""

import json
import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

CONTEXT = b"fairlead-hello-v1\0"


class Identity:
    """Kept in a file of mode 0600, written durably before anything depends on it."""

    def __init__(self, folder):
        self._path = os.path.join(folder, "identity.json")
        self.agent_id = ""
        if os.path.exists(self._path):
            with open(self._path, encoding="utf-8") as file:
                kept = json.load(file)
            self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(kept["private_key"]))
            self.agent_id = kept["agent_id"]
        else:
            self._key = Ed25519PrivateKey.generate()
            self._store()

    @property
    def public_key(self):
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign_hello(self, nonce, hello):
        return self._key.sign(CONTEXT + nonce + hello)

    def keep_agent_id(self, agent_id):
        if agent_id != self.agent_id:
            self.agent_id = agent_id
            self._store()

    def _store(self):
        private = self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        text = json.dumps({"private_key": private.hex(), "agent_id": self.agent_id})
        draft = self._path + ".new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, self._path)
        folder = os.open(os.path.dirname(self._path), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
