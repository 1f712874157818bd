"""Figures of `reproduce.py`: loss curves, weights by strength of a penalty, a grid of losses, codes, correlations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from replicas import Replica
from scipy.stats import kendalltau
from sklearn.manifold import TSNE

DPI = 80
COLORS = ("#3b6ea5", "#d1742f", "#4a8c5f", "#a34f8f", "#8a8a8a", "#c2a22f")


def loss_curves(panels: Mapping[str, Sequence[Replica]], path: Path) -> None:
    """Training, validation and test loss by epoch: a panel a title, a line a seed."""
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
    for place, (title, replicas) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), place)
        for number, replica in enumerate(replicas):
            epochs = [report.epoch for report in replica.curve]
            lines = {
                "training": [report.loss for report in replica.curve],
                "validation": [report.validation_loss for report in replica.curve],
                "test": replica.test_losses,
            }
            for color, (label, losses) in zip(COLORS, lines.items(), strict=False):
                axes.plot(epochs, losses, color=color, linewidth=0.9, alpha=0.7, label=label if number == 0 else None)
        axes.set(title=title, xlabel="epoch", ylabel="loss (as trained)" if place == 1 else "")
        axes.set_yscale("symlog", linthresh=1e-3)
        axes.axhline(0, color="black", linewidth=0.4)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, dpi=DPI)


def weights_by_strength(penalties: Mapping[str, Mapping[float, np.ndarray[Any, Any]]], path: Path) -> None:
    """Histograms of all weights: a panel a penalty, a line a strength."""
    figure = Figure(figsize=(4.6 * len(penalties), 4.4), layout="constrained")
    for place, (name, weights) in enumerate(penalties.items(), start=1):
        axes = figure.add_subplot(1, len(penalties), place)
        bins = np.linspace(-0.8, 0.8, 65).tolist()
        for color, (strength, values) in zip(COLORS, weights.items(), strict=False):
            label = f"{name} {strength:g}: {np.mean(values == 0):.0%} zero, deviation {values.std():.3f}"
            axes.hist(np.clip(values, -0.8, 0.8), bins=bins, histtype="step", density=True, color=color, label=label)
        axes.set(title=f"weights by strength of {name}", xlabel="weight", yscale="log")
        axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.15))
    figure.savefig(path, dpi=DPI)


def strength_grid(values: Mapping[tuple[float, float], float], title: str, path: Path) -> None:
    """Mean of a score over seeds for each pair (L1, L2) of strengths."""
    rows, columns = (sorted({pair[axis] for pair in values}) for axis in (0, 1))
    table = np.array([[values[row, column] for column in columns] for row in rows])
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(table, cmap="viridis_r")
    for (row, column), value in np.ndenumerate(table):
        dark = value > (table.min() + table.max()) / 2
        axes.text(column, row, f"{value:.4f}", ha="center", va="center", color="white" if dark else "black", fontsize=9)
    axes.set(title=title, xlabel="L2", ylabel="L1")
    axes.set_xticks(range(len(columns)), [f"{column:g}" for column in columns])
    axes.set_yticks(range(len(rows)), [f"{row:g}" for row in rows])
    figure.colorbar(image)
    figure.savefig(path, dpi=DPI)


def codes(latent: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], path: Path) -> None:
    """t-SNE of an autoencoder's codes `[n, latent]`, coloured by the true component `[n]`."""
    placed = TSNE(random_state=0, init="pca", perplexity=30).fit_transform(latent)
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for component in np.unique(labels):
        x, y = placed[labels == component].T
        axes.scatter(x, y, s=6, color=COLORS[component % len(COLORS)], label=f"component {component + 1}")
    axes.set(title="t-SNE of the codes, by true component", xticks=[], yticks=[])
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=DPI)


def correlations(panels: Mapping[str, np.ndarray[Any, Any]], columns: Sequence[str], path: Path) -> None:
    """Kendall's tau between all columns: a panel a title."""
    figure = Figure(figsize=(3.4 * len(panels), 3.4), layout="constrained")
    for place, (title, rows) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), place)
        count = rows.shape[1]
        tau = np.array([[kendalltau(rows[:, i], rows[:, j]).statistic for j in range(count)] for i in range(count)])
        axes.imshow(tau, vmin=0, vmax=0.6, cmap="Blues")
        for (row, column), value in np.ndenumerate(tau):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="black" if value < 0.5 else "white")
        axes.set(title=title)
        axes.set_xticks(range(count), columns)
        axes.set_yticks(range(count), columns)
    figure.savefig(path, dpi=DPI)
