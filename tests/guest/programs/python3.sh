python3 "$(dirname "$0")/python3.py"
