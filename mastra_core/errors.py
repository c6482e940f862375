"""Every error a user of Mastra can meet, and nothing else: no driver, no record, no wording of one backend.

MastraError
├─ ConfigurationError          something must be set up differently before it can work
│  ├─ UnknownBackendError      no plugin answers the URL
│  ├─ PluginError              a plugin is broken or made for another port
│  ├─ UnsupportedError         this backend cannot do that
│  └─ AgentNotFoundError       also LookupError
├─ ModelError                  a model or its provider refused or failed
│  └─ ContextLengthError       the prompt is longer than the model can read
└─ StorageError                .store_id .operation .code
   ├─ InvalidInputError        a value was refused before anything was sent; also ValueError
   ├─ ThreadNotFoundError      also LookupError
   ├─ IndexNotFoundError       there is no such vector index; also LookupError
   ├─ OwnershipError           the thread belongs to another resource
   ├─ ConflictError            concurrent writers kept winning
   ├─ StoredDataError          what is stored cannot be decoded
   ├─ StoreClosedError         close() was called before
   └─ StorageUnavailableError  the database could not be reached or would not write
"""

from __future__ import annotations


class MastraError(Exception):
    """Anything Mastra raises on purpose."""


class MastraWarning(UserWarning):
    """Something works, and a user would still want to know."""


class ConfigurationError(MastraError):
    """Something must be set up differently; the message says what."""


class UnknownBackendError(ConfigurationError):
    """No installed plugin answers this URL."""


class PluginError(ConfigurationError):
    """A plugin could not be loaded, or was made for another version of the port."""


class UnsupportedError(ConfigurationError):
    """This backend cannot do what was asked; the message says why, and what can."""


class AgentNotFoundError(ConfigurationError, LookupError):
    """No agent is registered under this name."""


class ModelError(MastraError):
    """A model, or the provider behind it, refused or failed."""


class ContextLengthError(ModelError):
    """The prompt is longer than the model can read; send less history, or choose a model that reads more."""


class StorageError(MastraError):
    """A store could not do what was asked.

    Attributes:
        store_id: the `id` of the store, or "" where none is involved.
        operation: what was being done, such as "save_messages".
        code: the error id of the TypeScript packages where the contract §0.1 has one, else "".
    """

    def __init__(self, message: str, *, store_id: str = "", operation: str = "", code: str = "") -> None:
        super().__init__(message)
        self.store_id = store_id
        self.operation = operation
        self.code = code


class InvalidInputError(StorageError, ValueError):
    """A value was refused, and nothing was sent to the database."""


class ThreadNotFoundError(StorageError, LookupError):
    """There is no thread with this id."""


class IndexNotFoundError(StorageError, LookupError):
    """There is no vector index of this name."""


class OwnershipError(StorageError):
    """The thread belongs to another resource."""


class ConflictError(StorageError):
    """Concurrent writers changed the same records at every try."""


class StoredDataError(StorageError):
    """A stored record cannot be decoded; the message names its kind, key and field."""


class StoreClosedError(StorageError):
    """The store was closed; open a new one."""


class StorageUnavailableError(StorageError):
    """The database could not be reached, or refused to write."""
