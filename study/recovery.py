"""Open a study's search: begun anew, or brought into agreement with what its folder holds, whatever ended the last run.

The driver writes a trial's record first, then tells the storage. It may be killed at any moment:

==============================================  =====================================================================
killed                                          on resuming
==============================================  =====================================================================
before config.yaml                              nothing was started; the same command starts the study
before the study is in the storage              it is created
between two starting points                     those that are missing are enqueued
while a trial's parameters are drawn, or later  it waits again under its number: parameters that are stored are kept,
until its record is written                     and it continues from its last checkpoint
while a record is written                       the half file is removed; as above
after its record, before all of it is told      it is told from the record
with some seeds of a configuration recorded     those are kept; the others continue from their last checkpoints, and
                                                the configuration is told when none is to come
after it was told, before its rerun is due      the rerun is enqueued
while the journal is written                    the torn line is cut off: what was in it never took effect
while records are merged                        they are merged again
==============================================  =====================================================================

A trial that is finished in the storage is never run again.
"""

from __future__ import annotations

import optuna

from study.config import MARKS_OF_A_STUDY, ConfigError, StudyConfig
from study.environment import environment
from study.folder import StudyFolder, data_digest
from study.progress import Progress
from study.records import Records
from study.replicate_records import ReplicateRecords
from study.resources import Plan
from study.search import Search
from study.storage import StorageError, open_storage, repair_journal, without_password


def start_search(config: StudyConfig, share: Plan, folder: StudyFolder) -> Search:
    """Describe a new study in its folder and create it in the storage.

    Raises:
        ConfigError: If the storage cannot be opened or holds a study of this name.
    """
    if any((folder.path / mark).exists() for mark in MARKS_OF_A_STUDY):
        raise ConfigError([f"output={folder.path} holds a study by now; choose another folder with output="])
    folder.describe(config, environment(share))
    try:
        return Search(config, _open(config), folder.environment["id"])
    except optuna.exceptions.DuplicatedStudyError:
        folder.undescribe()
        shown = without_password(config.storage)
        raise ConfigError([f"storage={shown} holds a study named {config.name!r} already; give name=..."]) from None
    except ConfigError:
        folder.undescribe()
        raise


def continue_search(config: StudyConfig, folder: StudyFolder, records: Records, progress: Progress) -> Search:
    """Load the study from the storage and repair whatever its last driver left half done; see the module's table.

    Raises:
        ConfigError: If the storage cannot be opened or belongs to another folder, the images have changed, records
            cannot be read or are unknown to the storage, or the budget is smaller than what is finished.
    """
    folder.tidy()
    repair_journal(folder.path)
    described = folder.environment
    if data_digest(config.data) != described.get("data"):
        raise ConfigError([f"data.root={config.data.get('root')}: the images or labels are not those of this study"])
    try:
        search = Search(config, _open(config), described["id"])
    except StorageError as error:
        raise ConfigError([str(error)]) from None
    _remove_unreadable(folder, search)
    scores = records.scores()
    recorded = {*scores, *(row["trial"] for row in ReplicateRecords(folder.path, records).rows())}
    unknown = [number for number in recorded if not search.knows(number)]
    if unknown:
        raise ConfigError(
            [f"there are records of trials {_listed(unknown)}, which the storage does not know: it is not this study's"]
        )
    recovered = search.recover(scores)
    progress.resumed(scores, search.finished)
    if search.finished > config.budget.trials:
        raise ConfigError(
            [f"budget.trials={config.budget.trials}, but {search.finished} trials are finished; give that many or more"]
        )
    waiting = f"; to be continued: trials {_listed(recovered.waiting)}" if recovered.waiting else ""
    progress.say(f"resumed with {search.finished} of {config.budget.trials} trials finished{waiting}")
    if recovered.unrecorded:
        progress.say(f"warning: the records of trials {_listed(recovered.unrecorded)} are missing from {folder.path}")
    return search


def _open(config: StudyConfig) -> optuna.storages.BaseStorage:
    try:
        return open_storage(config.storage, config.output)
    except StorageError as error:
        raise ConfigError([str(error)]) from None


def _remove_unreadable(folder: StudyFolder, search: Search) -> None:
    """Remove records that cannot be read of trials that are not told yet; they are run again.

    Raises:
        ConfigError: If such a record is of a finished trial: nothing else holds what was measured in it.
    """
    told = search.told
    broken = folder.unreadable_parts()
    lost = [path for path in broken if int(path.name.partition(".")[0]) in told]
    if lost:
        raise ConfigError([f"{path} cannot be read; put a copy back, or remove it to go on without" for path in lost])
    for path in broken:
        path.unlink()


def _listed(numbers: tuple[int, ...] | list[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
