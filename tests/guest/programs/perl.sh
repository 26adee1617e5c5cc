perl "$(dirname "$0")/perl.pl"
