"""What a reader should look at, in plain words, under each heading of a page."""

TITLES = {
    "leaderboard": "Leaderboard",
    "front": "Pareto front",
    "budget": "Score against budget",
    "mattered": "What mattered",
    "settings": "By asymmetry, latent dimensions, sigma and penalties",
    "samples": "Samples against target",
    "losses": "Loss curves",
    "weights": "Weights by strength of the penalties",
    "latent": "Latent space",
    "run": "What was run",
    "winners": "Winners",
    "progress": "Score against budget",
    "differences": "What was set differently",
}

LOOK = {
    "leaderboard": """
        Lower is better. Read each score against the floor rows: the median and the 95 % quantile of what two real
        samples score against each other. References need no network; a trial that doesn't beat the Gaussian copula adds
        nothing. Intervals that overlap can't be told apart. An overfit near 1 means that training rows were copied. Of
        finalists, p is the share of relabelings of the networks with at least the winner's lead, gap how much worse
        fresh networks are on validation rows than the one that was found (the search's optimism), and size the number
        of parameters.""",
    "front": """
        Trials at full budget that no other beats in all of these goals; where a study has one goal, in fit and size.
        Along the front one goal is paid for with another: look for the place where the price rises.""",
    "budget": """
        Lines that end early were stopped by ASHA, whose rungs are where many end together. If lines of good trials
        still fall at the right edge, more epochs may help; if the best so far has long been flat, more trials hardly
        will.""",
    "mattered": """
        Importance (PED-ANOVA, Optuna) says how much a setting distinguishes the best tenth of a family's trials from
        the others. It says nothing of the direction: that is for the slices, where darker points came later. A sampler
        that learns looks most where it did well, so an empty region is not a bad one. Importances of few trials are
        rough.""",
    "settings": """
        Each point is a trial; everything else differs as well, so a pattern counts only where many points make it.
        Compare filled points, trained at full budget, with each other. Medians of few trials mean little.""",
    "samples": """
        Blue is real, orange is made, on rows that training never saw. Contours that coincide mean that a pair is right.
        In Q-Q plots points on the line mean equal quantiles, and the shaded band is where each quantile of 95 % of real
        samples would lie: some 5 % leave it by chance, and neighbours leave it together.""",
    "losses": """
        A validation loss that rises while the training loss falls says that the network learns its rows by heart. The
        dotted line is the epoch of the checkpoint that was kept, by its scores and not by its loss. Losses of different
        objectives can't be compared, and those of adversarial ones don't fall as samples get better.""",
    "weights": """
        One line is one network; the density is logarithmic. Stronger L1 should pile weights up at zero, stronger L2
        should make the histogram narrow and tall. Of each strength the best trial is shown; its other settings differ
        too, the size of its network among them.""",
    "latent": """
        Where the encoder puts held-out rows (means, where codes are random). Colours that lie together mean that the
        code orders the data. t-SNE keeps neighbours, and neither distances nor sizes of groups. A dimension whose codes
        hardly spread isn't used.""",
    "run": "All that another machine needs to run the same search, and what it was run with here.",
    "winners": """
        Intervals that meet can't be told apart. Fits and scores count only between searches on the same rows; those of
        fresh networks on test rows are what a winner is worth, those on validation rows flatter it.""",
    "progress": """
        The best fit at full budget by the epochs that were spent on all trials. The lower line at the same budget did
        better; one search of each is one draw, and small differences are luck.""",
    "differences": """
        Settings in which the studies differ. A dash means that a study leaves it at its default, or has no such
        key.""",
}
