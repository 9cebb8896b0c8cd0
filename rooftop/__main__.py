"""`python -m rooftop predict source=city.tif`, where the command `rooftop` is not on the path."""

from rooftop.scripts import main

if __name__ == "__main__":
    main()
