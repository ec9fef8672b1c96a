from rampart.recipes.config.loading import load_config
from rampart.recipes.measured import evaluated_part
from rampart.recipes.splits import make_splits


def test_runs_of_other_seeds_draw_the_same_images_with_limit_seed(photo_folder):
    def ids(*settings):
        words = [f"data={photo_folder}", "data.image_size=16", "evaluation.limit=6"]
        config = load_config(None, ["model=resnet18", "threat.eps=4/255", *words, *settings])
        return evaluated_part(config, make_splits(config)).ids

    assert ids("seed=0") != ids("seed=1")
    fixed = "evaluation.limit_seed=0"
    assert ids("seed=0") == ids("seed=0", fixed) == ids("seed=1", fixed)
