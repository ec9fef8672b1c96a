"""Recipes: a configuration becomes objects (`build`) and a run or an evaluation (`run`)."""
