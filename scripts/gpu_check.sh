#!/usr/bin/env bash
# Checks of senas on a machine with an NVIDIA GPU: tests, latency profiles held against fresh networks, the SE block
# beside its common formulation, what SE adds to whole networks, and the speed of the training loop.
#
#     scripts/gpu_check.sh OUT [--only REGEX] [--seconds N] [--archive FILE] [--rehearse]
#
# It needs Python with torch, numpy, safetensors and pytest; neither Ray nor NNI nor fvcore. Each step writes NAME.out
# and NAME.err in OUT and a line of JSON in OUT/steps.jsonl; a step that fails or exceeds its limit stops no other.
# `--only` runs the steps whose names match, `--seconds` limits all of them together, `--archive` packs OUT into one file
# after every step, and `--rehearse` runs the same commands, shortened, on the CPU. PYTHON is the interpreter, python3 by
# default.
set -u
cd "$(dirname "$0")/.." || exit 1
operands="OUT"
source scripts/gpu_steps.sh

if [[ $device == cuda ]]; then
    modes=(eager graph) compiled_on=(compiled) types=(fp16 fp32) batches=(1 32 128) precisions=(fp32 tf32 bf16)
    half=fp16 profile_seconds=30 fresh=60 session_seconds=2 short=0.15 long=1.5 small=resnet20:32:128 large=resnet50:224:32
    networks=(resnet20 resnet50 mobilenet mobilenet_v3_large)
else
    modes=(eager) compiled_on=() types=(fp32) batches=(1) precisions=(fp32 bf16)
    half=fp32 profile_seconds=4 fresh=8 session_seconds=0.5 short=0.01 long=0.2 small=resnet20:32:16 large=resnet50:32:4
    networks=(resnet20 mobilenet)
fi

step environment 60 "$PYTHON" scripts/describe_device.py --device "$device"

# Compilers work on the CPU: while the tests run, later steps' compiled code is put into its cache, if all steps run.
warm() {
    "$PYTHON" "$@" >/dev/null 2>&1 &
}
if [[ $device == cuda && $only == . ]]; then
    export TORCHINDUCTOR_COMPILE_THREADS=2
    begin_in_background
    for batch in "${batches[@]}"; do
        warm scripts/benchmark_se.py --device cuda --mode compiled --pass forward --batch "$batch" --dtype fp16 --seconds 0
        warm scripts/benchmark_added_latency.py --device cuda --execution compiled --dtype fp16 \
            --memory-format channels_last --batch "$batch" --seconds 0.01 --network "${networks[@]}"
    done
    for network in "$small" "$large"; do
        warm scripts/benchmark_training.py --device cuda --network "$network" --precision bf16 --compile yes --seconds 0
    done
fi
step tests 100 "$PYTHON" -m pytest -o addopts= -W default -p no:cacheprovider -rs -k gpu \
    tests/latency tests/training tests/nn
end_in_background compile 90

for type in "${types[@]}"; do
    layout=contiguous name=se-resnet-cifar-$device-$execution-$type
    [[ $type == fp16 ]] && layout=channels_last name+=-channels-last
    for batch in "${batches[@]}"; do
        step "profile-$type-b$batch" 120 "$PYTHON" scripts/profile_device.py se-resnet-cifar --device "$device" \
            --execution "$execution" --dtype "$type" --memory-format "$layout" --batch "$batch" \
            --seconds "$profile_seconds" --out "$out/profiles"
        step "validation-$type-b$batch" 90 "$PYTHON" scripts/validate_profile.py "$out/profiles/$name-b$batch.json" \
            --networks "$fresh" --seconds "$session_seconds" --json
    done
done

step se 60 "$PYTHON" scripts/benchmark_se.py --device "$device" --mode "${modes[@]}" --batch "${batches[@]}" \
    --dtype "$half" --seconds "$short" --json
for execution in "${compiled_on[@]}"; do
    step "se-$execution" 60 "$PYTHON" scripts/benchmark_se.py --device "$device" --mode "$execution" --pass forward \
        --batch "${batches[@]}" --dtype "$half" --seconds "$short" --json
done
for execution in "${modes[@]}" "${compiled_on[@]}"; do
    step "added-$execution" 60 "$PYTHON" scripts/benchmark_added_latency.py --device "$device" \
        --network "${networks[@]}" --execution "$execution" --dtype "$half" --memory-format channels_last \
        --batch "${batches[@]}" --seconds "$long" --json
done
for layout in channels_last contiguous; do
    step "training-$layout" 60 "$PYTHON" scripts/benchmark_training.py --device "$device" \
        --network "$small" "$large" --precision "${precisions[@]}" --memory-format "$layout" --seconds "$long" --json
done
for execution in "${compiled_on[@]}"; do
    step "training-$execution" 60 "$PYTHON" scripts/benchmark_training.py --device "$device" \
        --network "$small" "$large" --precision bf16 --compile yes --seconds "$long" --json
done
finish
