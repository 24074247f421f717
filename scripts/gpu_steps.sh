# Steps of the GPU scripts, which source this file: arguments, time limits, and a line of JSON for each step.
# It reads `operands`, the names of the arguments. After it, `out`, `device`, `execution`, `only` and `PYTHON` are set,
# `arguments` holds the other arguments, and the working folder is on PYTHONPATH.

usage() {
    echo "usage: $0 $operands [--only REGEX] [--seconds N] [--archive FILE] [--rehearse]" >&2
    exit 2
}

arguments=() device=cuda execution=graph only=. seconds_in_all=86400 archive=''
while (($#)); do
    case $1 in
    --rehearse) device=cpu execution=eager ;;
    --only | --seconds | --archive)
        [[ $# -ge 2 ]] || usage
        case $1 in
        --only) only=$2 ;;
        --seconds) seconds_in_all=$2 ;;
        --archive) archive=$(realpath "$2") ;;
        esac
        shift
        ;;
    -*) usage ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
[[ $seconds_in_all =~ ^[0-9]+$ ]] || usage
[[ ${#arguments[@]} -eq $(wc -w <<<"$operands") ]] || usage
mkdir -p "${arguments[0]}" || exit 1
out=$(cd "${arguments[0]}" && pwd)
PYTHON=${PYTHON:-python3}
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
failed=0

# record NAME STATUS SECONDS LIMIT
record() {
    printf '{"step": "%s", "status": %d, "seconds": %.1f, "limit": %d}\n' "$@" | tee -a "$out/steps.jsonl"
    [[ -z $archive ]] || tar czf "$archive" -C "$out" .
}

# step NAME LIMIT COMMAND ...: run a command for at most LIMIT seconds, and no longer than is left of those in all;
# status 124 is a limit exceeded, or no time left
step() {
    local name=$1 limit=$2 left=$((seconds_in_all - SECONDS)) begin status
    shift 2
    [[ $name =~ $only ]] || return 0
    ((limit = limit < left ? limit : left))
    if ((limit < 1)); then
        failed=$((failed + 1))
        record "$name" 124 0 0
        return
    fi
    begin=$EPOCHREALTIME
    timeout --kill-after 5 "$limit" "$@" >"$out/$name.out" 2>"$out/$name.err"
    status=$?
    record "$name" "$status" "$(elapsed "$begin")" "$limit"
    if ((status)); then
        failed=$((failed + 1))
        tail -n 5 "$out/$name.err" "$out/$name.out"
    fi
}

# begin_in_background, then commands with &, then end_in_background NAME LIMIT
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
