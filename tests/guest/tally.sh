# Sourced by guest tests: counts what holds. $dir is the test's folder, $log what is shown of what does not
# hold (as a rule what the command said), $lines how much of that.
passed=0
failed=0
log=$dir/said
lines=5

ok() # NAME COMMAND...
{
    local name=$1
    shift
    if "$@" >"$dir/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name: $*"
        tail -n "$lines" "$log"
    fi
}
