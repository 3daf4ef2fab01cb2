"""Every error that crosses a module border.

AtelierError
├── UserError            the person asking can fix it; its text is shown to them as written
│   ├── PromptError      a flag or value of the prompt is wrong
│   ├── ImageError       an uploaded or referenced picture can't be used
│   ├── LimitError       a limit of the user, guild or server is reached
│   └── NotAllowedError  this person may not do that
├── SettingsError        the host can fix it; one line per wrong setting
├── NotYet               whether a job may run can't be told at the moment
├── ModelError           a model is missing, corrupt, or of an unknown family
│   └── NotFetched       its files can't be had at the moment: the job waits for them
├── OutOfMemory          the device has no memory left for this job
├── JobCancelled         somebody stopped the job
├── StorageError         database or files can't be used
│   ├── DatabaseInUse    another Atelier has the database open
│   └── FilesAway        the store of files doesn't answer; nothing is known of a file
└── BusError             other programs can't be told or asked something
    ├── BusAway          the bus can't be reached, or nobody has answered there
    └── WireError        a message isn't one, or is too large
"""


class AtelierError(Exception):
    """Base of all errors Atelier raises on purpose."""


class UserError(AtelierError):
    """The person asking can fix it. ``str(error)`` is shown to them as written."""


class PromptError(UserError):
    """A flag or a value of the prompt is wrong."""


class ImageError(UserError):
    """An uploaded or referenced picture can't be used."""


class MissingError(ImageError):
    """A job has no picture of that number."""


class LimitError(UserError):
    """A limit of the user, the guild or the server is reached."""


class NotAllowedError(UserError):
    """This person may not do that."""


class SettingsError(AtelierError):
    """Wrong settings. ``problems`` holds one readable line for each of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotYet(AtelierError):
    """Whether a job may run can't be told at the moment: it waits on."""


class ModelError(AtelierError):
    """A model is missing, corrupt, or of an unknown family."""


class NotFetched(ModelError):
    """A model's files can't be had at the moment: no network, a full disk, a licence to accept. Its text says
    what is to be done. Jobs wait for them."""


class OutOfMemory(AtelierError):
    """The device has no memory left for this job."""


class JobCancelled(AtelierError):
    """Somebody stopped the job."""


class StorageError(AtelierError):
    """The database or the files can't be used."""


class FilesAway(StorageError):
    """The store of files doesn't answer, or refuses to: nothing is known of a file, and nothing is lost."""


class DatabaseInUse(StorageError):
    """Another Atelier has the database open."""


class BusError(AtelierError):
    """Another program can't be told or asked something over the bus."""


class BusAway(BusError):
    """The bus can't be reached, or nobody has answered: it isn't known whether the question arrived."""


class WireError(BusError):
    """A message can't be read or written: it is too large, or not what is expected there."""


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, at most 160 characters; its class when it has no text."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= 160 else line[:157] + "…"
