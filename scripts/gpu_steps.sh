# Steps of the GPU scripts, which source this file: arguments, time limits, and a line of JSON for each step.
# It reads `operands`, the names of the arguments. After it, `out`, `device`, `execution`, `only` and `PYTHON` are set,
# `arguments` holds the other arguments, and the working folder is on PYTHONPATH.

usage() {
    echo "usage: $0 $operands [--only REGEX] [--rehearse]" >&2
    exit 2
}

arguments=() device=cuda execution=graph only=.
while (($#)); do
    case $1 in
    --rehearse) device=cpu execution=eager ;;
    --only)
        [[ $# -ge 2 ]] || usage
        only=$2
        shift
        ;;
    -*) usage ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
[[ ${#arguments[@]} -eq $(wc -w <<<"$operands") ]] || usage
mkdir -p "${arguments[0]}" || exit 1
out=$(cd "${arguments[0]}" && pwd)
PYTHON=${PYTHON:-python3}
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
failed=0

# record NAME STATUS SECONDS LIMIT
record() {
    printf '{"step": "%s", "status": %d, "seconds": %.1f, "limit": %d}\n' "$@" | tee -a "$out/steps.jsonl"
}

# step NAME LIMIT COMMAND ...: run a command for at most LIMIT seconds; status 124 is a limit exceeded
step() {
    local name=$1 limit=$2 begin status
    shift 2
    [[ $name =~ $only ]] || return 0
    begin=$EPOCHREALTIME
    timeout --kill-after 5 "$limit" "$@" >"$out/$name.out" 2>"$out/$name.err"
    status=$?
    record "$name" "$status" "$(elapsed "$begin")" "$limit"
    if ((status)); then
        failed=$((failed + 1))
        tail -n 5 "$out/$name.err" "$out/$name.out"
    fi
}

# begin_in_background NAME, then commands with &, then end_in_background NAME LIMIT
begin_in_background() {
    background_begin=$EPOCHREALTIME
}

end_in_background() {
    local deadline=$((SECONDS + $2)) jobs
    jobs=$(jobs -p)
    [[ -n $jobs ]] || return 0
    while [[ -n $(jobs -pr) ]] && ((SECONDS < deadline)); do
        sleep 0.2
    done
    # shellcheck disable=SC2046
    [[ -z $(jobs -pr) ]] || kill $(jobs -pr) 2>/dev/null
    record "$1" 0 "$(elapsed "$background_begin")" "$2"
}

elapsed() {
    awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }'
}

finish() {
    echo "$failed steps failed; see $out"
    ((failed == 0))
}
