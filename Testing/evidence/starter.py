"""The table of the starter model's card: Dice on patients it was not trained on, beside guess, threshold and DynUNet.

    python Testing/evidence/starter.py [--model FOLDER] [--group site|select] [--dynunet FOLDER]

Nothing was trained on `site` and `select`; `select` chose thresholds. Needs `shared` beside the checkout.
"""

import argparse
from pathlib import Path

from scoring import blind, cases, model_dice, row, suv_threshold

from PEMMASegmentLib.network.files import find_model, load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--group", nargs="+", default=["site", "select"])
    parser.add_argument("--dynunet", type=Path)
    options = parser.parse_args()
    model = load_model(find_model(options.model))
    for group in options.group:
        patients = cases(model.card.provenance["split"][group])
        print(f"\n{group}: {len(patients)} patients, one-sided cuts\n")
        print("| what | mean Dice | 95 % interval (bootstrap) | each patient |\n|---|---|---|---|")
        print(row("blind ellipsoid", blind(patients)))
        print(row("SUV at least 2.5", suv_threshold(patients)))
        for inputs in ("ct+pet", "ct", "pet"):
            if inputs in model.card.threshold and set(inputs.split("+")) <= set(model.card.modalities):
                print(row(f"{model.card.name}, {inputs}", model_dice(model, patients, inputs)), flush=True)
        if options.dynunet:
            from dynunet import load

            print(row("DynUNet, early fusion, ct+pet", model_dice(load(options.dynunet), patients, "ct+pet")))


if __name__ == "__main__":
    main()
