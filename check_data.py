"""Check a data set before training: broken, missing, duplicate and leaking pictures; exit code 1 if it has errors.

python check_data.py                                        the embedded data set
python check_data.py data=crowdai data.root=DIR
python check_data.py data=crowdai data.root=DIR fix=CLEAN   also cleaned, leak-free annotation files
"""

from rooftop.scripts.check_data import main

if __name__ == "__main__":
    main()
