"""Write a run as one ONNX file, for programs that have no torch: run folder -> model.onnx.

python export.py run=outputs/train/...     in: uint8 (batch, height, width, bands); out: probability in [0, 1]
python export.py                           the weights that ship
python export.py form=deepness             for Deepness, a plugin of QGIS
"""

from rooftop.scripts.export import main

if __name__ == "__main__":
    main()
