"""The user's CSV or Parquet table as a problem: checked once, split by seed."""

from typing import final

import numpy as np

from objectives.problems.problem import LEAST_ROWS, Array, Problem, Rows, Source

LEAST_SPLIT = 10


@final
class Table(Problem):
    """The rows of a CSV or Parquet file that has only columns of numbers.

    `columns` names those to keep (a line of CSV, all if empty), `drop_missing` leaves out rows with a missing value,
    `validation` and `test` are shares of the rows. `dropped` is the number of rows left out; `notes` are the decisions
    on how the file was read.

    Raises:
        ValueError: the file can't be read or used; one line says what, where, and what would work.
    """

    def __init__(
        self,
        *,
        data: str = "",
        columns: str = "",
        drop_missing: bool = False,
        validation: float = 0.2,
        test: float = 0.2,
    ) -> None:
        from objectives.problems.reading import read_table  # it imports pandas, which no other problem needs

        if not data:
            raise ValueError("no data; name a CSV or Parquet file with --data FILE")
        content = read_table(data, columns, drop_missing, least=LEAST_ROWS, varied=True)
        self._columns, self._all = content.columns, content.rows
        self.dropped, self.notes = content.dropped, content.notes
        count = len(self._all)
        for name, share in (("validation", validation), ("test", test)):
            if not (0 < share < 1 and round(share * count) >= LEAST_SPLIT):
                raise ValueError(f"{name} = {share}: expected a share of at least {LEAST_SPLIT} of the {count} rows")
        self._sizes = (round(validation * count), round(test * count))
        if count - sum(self._sizes) < LEAST_SPLIT:
            raise ValueError(
                f"validation + test = {validation + test:g}: expected to leave {LEAST_SPLIT} training rows"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the kept columns, in the order asked for."""
        return self._columns

    @property
    def source(self) -> Source:
        """Normal noise, one feature for each column."""
        return Source("normal", len(self._columns))

    def rows(self, seed: int) -> Rows:
        """Shuffle the table's rows by the seed and cut them into three splits."""
        order = np.random.default_rng([seed, 1]).permutation(len(self._all))
        validation, test = self._sizes
        return Rows(
            self._all[order[validation + test :]],
            self._all[order[:validation]],
            self._all[order[validation : validation + test]],
        )

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Return two disjoint random subsets, or two independent bootstrap samples if the table has too few rows."""
        count = len(self._all)
        if first + second <= count:
            chosen = generator.permutation(count)[: first + second]
        else:
            chosen = generator.integers(count, size=first + second)
        return self._all[chosen[:first]], self._all[chosen[first:]]
