"""The winner, trained once more on all rows: its figures must do without validation and test rows, its users need not.

The configuration is settled, and so is the epoch at which its best fresh network was judged best. The new network is
trained for as many epochs, by the same schedule. No rows are left to judge it by.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from models.noise import hashed_seed
from objectives import Rows
from search.errors import StoreError
from search.events.events import Listener, Troubled
from search.rank.leaderboard import Entries, Leaderboard
from search.record.describe import describe_search
from search.record.layout import REFIT, REFITTED
from search.run.plan import Plan
from search.schedule.director import Limits
from search.schedule.suggest import Suggester
from search.tune.run import tune_trials

REFITTED_BY = 0.92  # share of the time after which the winner's network on all rows isn't waited for any more


def wants_refit(plan: Plan, board: Leaderboard) -> bool:
    """Whether the winner shall be trained on all rows, and isn't yet.

    Of a table whose training rows fill more than an epoch, an epoch sees a part as it is.
    """
    return plan.study.refit and len(plan.task.rows.train) < plan.task.epoch_rows and not board.winner().refitted


def refit_winner(plan: Plan, board: Leaderboard, *, listeners: Sequence[Listener] = ()) -> bool:
    """Train a network like the winner's on all rows, and keep it with its trial, for export and registry.

    A network that diverged, or wasn't trained in time, isn't kept, and a line says so.

    Returns:
        whether it went to its end; Ctrl-C ends it before.

    Raises:
        GenseekError: the cluster can't do what is asked, the store can't be written, or the storage read.

    Examples:
        >>> from search import Store, plan_resume
        >>> store = Store("genseek-store")
        >>> refit_winner(plan_resume(store, "first"), store.leaderboard("first"))
        True
        >>> store.leaderboard("first").winner().refitted
        300
    """
    winner, study, rows = board.winner(), plan.study, plan.task.rows
    whole = np.concatenate([rows.train, rows.validation, rows.test])
    whole = np.random.default_rng([study.budget.seed, 8]).permutation(whole)
    epochs = int(winner.confirmed.get("best_epoch", winner.best_epoch))
    task = replace(
        plan.task,
        rows=Rows(whole, rows.validation, rows.test),
        epochs=epochs,
        evaluations=[epochs],
        horizon=plan.task.epochs,
        replicas=1,
    )
    budget = replace(study.budget, trials=1, epochs=epochs, grace=epochs, replicas=1)
    listed = replace(study, points=[winner.configuration.flat()], sampler="points")
    entries, folder, storage = Entries(), plan.folder / REFIT, plan.storage.at(REFIT)
    complete = tune_trials(
        Suggester(listed, study.budget.seed),
        task,
        budget,
        [hashed_seed(study.budget.seed, "refit", winner.trial)],
        folder=folder,
        listeners=[entries, *listeners],
        pack_size=study.pack_size,
        storage=storage,
        limits=Limits(trains=plan.moment(REFITTED_BY), rest="interrupted"),
    )
    try:
        for ended in entries.finished():
            if ended.checkpoint is not None and ended.checkpoint.names():
                with ended.checkpoint.fetched() as network:
                    plan.store.save(winner.run_id, network, REFIT)
                plan.store.log(winner.run_id, tags={REFITTED: str(len(whole))})
                describe_search(plan.store, plan.name)
                return True
        late = time.time() >= plan.moment(REFITTED_BY)
        why = "time was up before the winner was" if late else "the winner diverged when"
        said = f"{why} trained on all {len(whole)} rows, so that what is exported knows the training rows alone"
        for listener in listeners if complete else ():
            listener(Troubled(said, time.time()))
        return complete
    except OSError as error:
        raise StoreError(f"checkpoints {storage.uri}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            storage.remove()
            plan.folder.rmdir()  # of a search that has ended, nothing else is in it
