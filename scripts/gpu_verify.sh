#!/usr/bin/env bash
# Checks of what a search found for an NVIDIA GPU: the front measured afresh on it, its most accurate network trained
# beside ResNet-20 and SE-ResNet-20, and SE-ResNet-50 with and without the SE blocks of its final stage.
#
#     scripts/gpu_verify.sh OUT RUN DATA [--only REGEX] [--seconds N] [--archive FILE] [--rehearse]
#
# RUN is a search in se-resnet-cifar with a profile of this GPU, made wherever Ray and NNI are (senas search
# --elsewhere); DATA is a NumPy file of images of 32x32 pixels. Needs, steps and output are those of gpu_check.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
operands="OUT RUN DATA"
source scripts/gpu_steps.sh
run=${arguments[1]} data=npz:${arguments[2]}

if [[ $device == cuda ]]; then
    type=bf16 session_seconds=1.5 epochs=${EPOCHS:-30} precision=tf32 seeds=3 workers=9 seconds=3 batch=32
else
    type=fp32 session_seconds=0.5 epochs=1 precision=fp32 seeds=1 workers=2 seconds=0.2 batch=1
fi

step front 60 "$PYTHON" scripts/measure_front.py "$run" --seconds "$session_seconds" --json
step trainings 300 "$PYTHON" scripts/compare_trainings.py "$run" resnet20 resnet20+se --data "$data" \
    --epochs "$epochs" --precision "$precision" --seeds "$seeds" --workers "$workers" --device "$device" --json
step final-stage 60 "$PYTHON" scripts/benchmark_added_latency.py --device "$device" --network resnet50 \
    --execution "$execution" --dtype "$type" --memory-format channels_last --batch "$batch" --seconds "$seconds" --json
finish
