#!/bin/bash
# What must not stand in the tree: hosts of package registries, paths of one machine, files
# that have grown too long.
set -u
cd "$(dirname "$0")/../.."
wrong=0
say()
{
    echo "$1"
    wrong=1
}
# Spelt so that this file does not find itself.
if found=$(git grep -nIE '(deb|ftp|security)\.debian\.o[r]g|registry\.npmjs|pypi\.o[r]g|snapshot\.debian'); then
    say "host of a package registry: $found"
fi
if found=$(git grep -nI "/wor[k]/"); then
    say "path of one machine: $found"
fi
while read -r lines file; do
    [ "$file" = total ] || [ "$lines" -le 800 ] || say "$file: $lines lines, over 800"
done < <(git ls-files 'dbt/*.[ch]' 'frontend/*.[ch]' 'backend-x86_64/*.[ch]' 'softmmu/*.[ch]' \
    'devices/*.[ch]' 'runtime/*.[ch]' | xargs wc -l)
exit $wrong
