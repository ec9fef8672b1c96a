"""Upload the files of a run to the Hugging Face hub, in one commit."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rampart.errors import RampartError, RunError, reason
from rampart.hub_access import is_reachable
from rampart.progress.tqdm_bars import tqdm_bars
from rampart.recipes.publishing.files import CARD, Files
from rampart.version import __version__

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_OR_FOLDER = "or publish to a folder, --to FOLDER"
_TOKEN = "the hub does not accept the token: run `hf auth login` again, or correct HF_TOKEN."
_RIGHT = (
    "the owner has to be your account or an organization of yours, and the token needs the right "
    "to write."
)
#: Files of an earlier publication that the new one may lack.
_OWN = "evaluations/"


def upload(name: str, files: Files, *, private: bool, dry_run: bool) -> str:
    """Create the repository if it does not exist, and commit the files; return its address.

    Args:
        name: OWNER/NAME.
        files: by their paths.
        private: create a private repository.
        dry_run: ask the hub what it would refuse, and change nothing.

    Raises:
        RunError: the hub is offline or refuses the token, the name or the card, the repository
            belongs to others, or it exists and is public in spite of `private`.
    """
    api = _api()
    with _explained(name, _TOKEN):
        api.whoami()
    with _explained(name, f"the hub refuses to write {name}: {_RIGHT}"):
        _require_valid(str(files[CARD]))
        there = _files_there(api, name, private)
        if not dry_run:
            if there is None:
                api.create_repo(name, private=private)
            _commit(api, name, files, there or [])
    return f"{api.endpoint}/{name}"


def _api() -> "HfApi":
    """Return the client of the hub with the user's token.

    Raises:
        RunError: the hub is switched off or cannot be reached, or there is no token.
    """
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise RunError(
            f"the hub is switched off by HF_HUB_OFFLINE: unset that variable, {_OR_FOLDER}."
        )
    if not is_reachable(constants.ENDPOINT):
        raise RunError(
            f"the hub at {constants.ENDPOINT} cannot be reached: check the network, {_OR_FOLDER}."
        )
    token = get_token()
    if token is None:
        raise RunError(
            "no token of the hub was found: run `hf auth login`, or put one that may write into "
            f"HF_TOKEN, {_OR_FOLDER}."
        )
    return HfApi(token=token, library_name="rampart", library_version=__version__)


def _require_valid(card: str) -> None:
    """Refuse metadata that the hub refuses, such as an unknown license."""
    from huggingface_hub import ModelCard

    try:
        ModelCard(card).validate()
    except ValueError as error:
        raise RunError(f"the hub refuses the metadata of the card: {_spoken(error)}.") from error


def _spoken(error: ValueError) -> str:
    try:
        errors = json.loads(str(error))["errors"]
        return "; ".join(str(one["message"]).rstrip(".") for one in errors)
    except (ValueError, KeyError, TypeError):
        return reason(error).rstrip(".")


def _files_there(api: "HfApi", name: str, private: bool) -> list[str] | None:
    """Return the files of a repository; None if there is none."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(name)
    except RepositoryNotFoundError:
        return None
    if private and not info.private:
        raise RunError(
            f"{name} exists and is public, so --private cannot hide it: make it private on the "
            "hub, or choose another name."
        )
    return [one.rfilename for one in info.siblings or ()]


def _commit(api: "HfApi", name: str, files: Files, there: list[str]) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    old = [one for one in there if one.startswith(_OWN) and one not in files]
    operations: list[Any] = [CommitOperationDelete(one) for one in old]
    operations += [
        CommitOperationAdd(path, one.encode() if isinstance(one, str) else str(one))
        for path, one in files.items()
    ]
    with warnings.catch_warnings():
        # A record is a table beside its model, as intended.
        warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
        with tqdm_bars("uploading"):
            api.create_commit(name, operations, commit_message="Publish a run of Rampart")


@contextmanager
def _explained(name: str, refused: str) -> Iterator[None]:
    """Turn an error of the hub into a sentence; `refused` if it does not allow what was asked."""
    try:
        yield
    except RampartError:
        raise
    # Each version of the hub's client raises the errors of another package for the network.
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        if status in (401, 403, 404):
            raise RunError(refused) from error
        raise RunError(f"{name} was not published ({reason(error)}): try again.") from error
