"""The user's own CSV or Parquet table as a problem: checked once, split by seed."""

from typing import final

import numpy as np

from objectives.problems.problem import LEAST_ROWS, Array, Problem, Rows, Source

LEAST_SPLIT = 10


@final
class Table(Problem):
    """Imitate the rows of a CSV or Parquet file, columns of numbers only.

    `columns` keeps those named (a line of CSV, all where empty), `drop_missing` leaves out rows with a missing value,
    `validation` and `test` are shares of the rows. `dropped` counts the rows left out; `notes` say what was decided
    about the file.

    Raises:
        ValueError: the file can't be read or used; one line says what, where, and what would do.
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
        from objectives.problems.reading import read_table  # pandas, which no other problem needs

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
        """Names of the columns kept, in the order asked for."""
        return self._columns

    @property
    def source(self) -> Source:
        """Normal noise, one feature a column."""
        return Source("normal", len(self._columns))

    def rows(self, seed: int) -> Rows:
        """The table's rows, shuffled by the seed and cut in three."""
        order = np.random.default_rng([seed, 1]).permutation(len(self._all))
        validation, test = self._sizes
        return Rows(
            self._all[order[validation + test :]],
            self._all[order[:validation]],
            self._all[order[validation : validation + test]],
        )

    def pair(self, first: int, second: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Two disjoint random subsets; two independent bootstrap draws where the table has too few rows for that."""
        count = len(self._all)
        if first + second <= count:
            chosen = generator.permutation(count)[: first + second]
        else:
            chosen = generator.integers(count, size=first + second)
        return self._all[chosen[:first]], self._all[chosen[first:]]
