"""Privacy checks: adversaries, how they are trained, their statistics, and the battery that judges a release."""
