"""The text of docs/results.md: tables of test scores, and how to read them."""

from collections.abc import Mapping, Sequence

import numpy as np
from published import FAMILIES, PUBLISHED
from replicas import Replica

from models import MODELS
from objectives import OBJECTIVES
from objectives.scores.clusters import match_clusters
from search.study.configuration import Configuration, Training
from search.study.parse import problem_of
from search.study.space import arguments_of
from search.study.study import Study

FORMATS = {"ad": ".2f", "kendall": ".4f", "mmd": ".4f", "overfit": ".3f", "tail": ".4f", "modes": ".0f"}
Winners = Mapping[str, tuple[Study, Configuration]]

HEAD = """# Results

Every configuration that the five source studies published, run as published, beside what genseek's search finds on the
same problem. `make reproduce` writes this page ({settings}).

Figures are mean ± standard deviation over seeds, each with data, initial weights and noise of its own, on test rows.
No search sees these; the points of the family tables were partly chosen by people who did, see there. Beside each
stands in how many seeds it lies inside the 95 % quantile of what one real sample of that size scores against another.
As published means the last weights of the published number of epochs; searched means the winner of one search with
the study of the problem, trained anew with every seed, best checkpoint on validation rows.

## Published and searched

"""

COMPARED = """
How far the printed figures compare:

- A and B don't say which kernel width, sample sizes or form of MMD they used. Ours is the unbiased MMD^2 with r the
  median squared distance of the training rows, so only orders of magnitude compare; the column "real" is on our scale.
- A f3 printed one figure for each of the two nets; ours is of the pair, which is what the problem asks for.
- B printed words, no figures, for f1 and f3; the text in the column says which.
- A deterministic map of one number draws a curve, however deep it is. A long curve comes near the plane's normal
  distribution in MMD, which is why the picture below belongs to the figure; more inputs, or heads that draw, fill it.
- C printed pictures. D counted modes in a histogram whose bins it doesn't state; ours are counted on both samples
  alike, and the score is the difference.
- E's table isn't public. Its figures were of another data set of the same kind and size: all its AD values lie inside
  what a perfect generator scores, so that they can't rank the architectures, and its Kendall errors are worse than
  those of independent columns (0.12 on our twin).
"""


FAMILY_HEADS = {
    "mixture_3d": """
## Every family on mixture_3d

The point of each family in the study `mixture_3d`, trained with every seed. The truth has 4 components, 5 standard
deviations apart. "4 clusters" counts the seeds in which k-means with silhouettes finds 4 in both samples, "centre" is
the largest distance of matched centres in standard deviations of the real clusters. The second VAE is the best of
seven settings compared by their test scores on seeds 0 and 1, two of the five shown, so its row is optimistic.

""",
    "returns_4d": """
## Every family on returns_4d

The point of each family in benchmarks/families.toml, trained on 720 rows with every seed. "All at once" counts the
seeds in which every score of the row lies inside its 95 % quantile: five of these at once is more than any one of them,
and even a perfect generator misses one now and then. The points first trained on standardised columns, and went to
normal scores after their test scores had been seen: read the table as which family can, not as a blind test.

""",
}

STRENGTH_HEAD = """
## Strength of the penalties

One network (2-64-64-2, ReLU, Adam) on `uniform_to_gaussian`. The L1 penalty is a proximal step, which reaches exact
zeros; L2 is decoupled decay.

"""


def page(
    published: Mapping[str, list[Replica]], ours: Mapping[str, list[Replica]], winners: Winners, settings: str
) -> str:
    """The whole page."""
    parts = [HEAD.format(settings=settings), _comparison(published, ours, winners), COMPARED, _pictures()]
    for problem in FAMILIES:
        parts += [FAMILY_HEADS[problem], _families(ours[f"families of {problem}"], winners[problem][0])]
    parts += [STRENGTH_HEAD, _strengths(ours), "\n![weights by strength](pictures/results/weights.png)\n"]
    return "".join(parts)


def spread(values: Sequence[float], form: str) -> str:
    """Mean ± standard deviation; the mean alone where there is one value."""
    return f"{np.mean(values):{form}}" + (f" ± {np.std(values, ddof=1):{form}}" if len(values) > 1 else "")


def _comparison(published: Mapping[str, list[Replica]], ours: Mapping[str, list[Replica]], winners: Winners) -> str:
    rows = []
    for claim in PUBLISHED:
        as_published = _of_point(published[claim.study], claim.point)
        searched = ours[claim.problem]
        for score in claim.scores:
            floor = searched[0].evaluation.floors[score]
            form = FORMATS.get(score, ".2f")
            rows.append(
                [
                    claim.label,
                    score,
                    claim.printed,
                    _cell(as_published, score),
                    _cell(searched, score),
                    f"{floor.median:{form}}, 95 % {floor.upper:{form}}",
                ]
            )
    heads = ["configuration", "score", "printed", "as published", "searched", "real"]
    won = [
        f"- {name}: {winner.model} with {winner.objective}, `{_told(winner)}`" for name, (_, winner) in winners.items()
    ]
    return table(heads, rows) + "\nWhat won:\n\n" + "\n".join(won) + "\n"


def _of_point(replicas: Sequence[Replica], point: int) -> list[Replica]:
    seeds = len({replica.seed for replica in replicas})
    return list(replicas[point * seeds : (point + 1) * seeds])


def _cell(replicas: Sequence[Replica], score: str) -> str:
    """Mean ± deviation over the seeds, and how many of them lie inside."""
    values = [replica.evaluation.values[score] for replica in replicas]
    inside = sum(replica.evaluation.inside[score] for replica in replicas)
    return f"{spread(values, FORMATS.get(score, '.3f'))} ({inside} of {len(replicas)})"


def _told(configuration: Configuration) -> str:
    """What differs from the defaults of the constructors."""
    constructors = (MODELS[configuration.model], OBJECTIVES[configuration.objective], Training)
    defaults = {key: argument.default for entry in constructors for key, argument in arguments_of(entry).items()}
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in configuration.flat().items()
        if key in defaults and value != defaults[key]
    )


def _families(replicas: Sequence[Replica], study: Study) -> str:
    seeds = len({replica.seed for replica in replicas})
    rows = []
    for point in range(len(replicas) // seeds):
        own = _of_point(replicas, point)
        names = [name for name in ("ad", "kendall", "mmd", "tail", "overfit") if name in own[0].evaluation.values]
        cells = [_cell(own, name) for name in names]
        if study.problem == "mixture_3d":
            cells += _structure(own, study)
        else:
            at_once = sum(all(replica.evaluation.inside[name] for name in names) for replica in own)
            cells.append(f"{at_once} of {seeds}")
        configuration = own[0].configuration
        rows.append([", ".join(dict.fromkeys([configuration.model, configuration.objective])), *cells])
    last = ["4 clusters", "modes equal", "centre, deviations"] if study.problem == "mixture_3d" else ["all at once"]
    floors = [f"{replicas[0].evaluation.floors[name].upper:{FORMATS.get(name, '.3f')}}" for name in names]
    rows.append(["*real, 95 %*", *floors, *["" for _ in last]])
    return table(["family", *names, *last], rows)


def _structure(replicas: Sequence[Replica], study: Study) -> list[str]:
    """In how many seeds all clusters and modes are found, and how far the farthest centre lies."""
    matches = []
    for replica in replicas:
        rows = problem_of(study).rows(replica.seed)
        made = replica.generator().sample(len(rows.test)).numpy()
        matches.append(match_clusters(rows.test, made, rows.train))
    equal = sum(match.real == match.generated == 4 for match in matches)
    modes = sum(replica.evaluation.values["modes"] == 0 for replica in replicas)
    farthest = max(max(match.distances) for match in matches)
    return [f"{equal} of {len(replicas)}", f"{modes} of {len(replicas)}", f"at most {farthest:.2f}"]


def _strengths(ours: Mapping[str, list[Replica]]) -> str:
    rows = [
        [
            penalty,
            f"{getattr(replica.configuration.training, penalty):g}",
            f"{replica.curve[-1].zeros:.1%}",
            f"{replica.curve[-1].deviation:.4f}",
            f"{replica.evaluation.values['mmd']:.4f}",
        ]
        for penalty in ("l1", "l2")
        for replica in ours[penalty]
    ]
    return table(["penalty", "strength", "weights exactly zero", "standard deviation of the weights", "mmd"], rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _pictures() -> str:
    shown = (
        ("f1, searched: held-out rows and samples, with contours of the density", "f1"),
        ("f1, A as published", "f1_published"),
        ("f2, searched", "f2"),
        ("f3, searched", "f3"),
        ("f3, B's stochastic heads", "f3_stochastic"),
        (
            "f3, a deterministic map of one number: a curve can pass near every point, and is no density",
            "f3_deterministic",
        ),
        ("Losses by epoch, a line a seed", "losses"),
        ("B f1, the grid of L1 and L2", "l1_l2_grid"),
        ("mixture_3d, searched: real rows above the diagonal, samples below", "mixture_3d"),
        ("mixture_3d, codes of the VAE by t-SNE", "codes"),
        ("returns_4d, searched", "returns_4d"),
        ("returns_4d, Kendall's tau between columns", "correlations"),
    )
    return "\n## Pictures\n" + "".join(
        f"\n{title}:\n\n![{title}](pictures/results/{name}.png)\n" for title, name in shown
    )
