"""The parts of an annotation file, as plain containers; pictures are never square."""

HEIGHT, WIDTH = 48, 80
SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]


def picture(identity=1, **fields):
    return {"id": identity, "file_name": f"{identity}.jpg", "width": WIDTH, "height": HEIGHT} | fields


def annotation(identity=1, **fields):
    return {"id": identity, "image_id": 1, "category_id": 100, "segmentation": [[*SQUARE]]} | fields


def document(annotations=(), pictures=None, categories=None):
    return {
        "images": [picture()] if pictures is None else pictures,
        "annotations": list(annotations),
        "categories": [{"id": 100, "name": "building"}] if categories is None else categories,
    }
