"""The peers' side of compare.py: one measurement in a process of its own, printed as one JSON object.

    python benches/peers/peer.py inference|training MODEL RUNTIME BATCH SIZE THREADS
    python benches/peers/peer.py cold FOLDER PHOTO THREADS
    python benches/peers/peer.py job FOLDER PHOTOS EPOCHS SEED THREADS

MODEL is a name of timm's, or a folder with transformers' encoder (then SIZE counts tokens). RUNTIME is eager, channels_last, bf16 (channels_last under
autocast), bf16_whole (channels_last, the model itself in bf16; inference only) or onnxruntime. FOLDER is a timm folder (config.json and model.safetensors).
"""

import json
import os
import resource
import sys
import tempfile
import time


def rate(batch, step, least):
    """Samples per second in the median of steps that take at least so many seconds together, after one that is not counted."""
    step()
    times = []
    while sum(times) < least or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return batch / sorted(times)[len(times) // 2]


def subject(name, runtime, batch, size, train):
    """A model and its inputs, in the layout that the runtime wants."""
    import torch

    torch.manual_seed(0)
    if os.path.isdir(name):
        from transformers import AutoModel, AutoModelForSequenceClassification

        model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=2) if train else AutoModel.from_pretrained(name)
        ids = torch.arange(size).repeat(batch, 1)
        return model, (ids, torch.ones_like(ids)), 2
    import timm

    form = torch.contiguous_format if runtime in ("eager", "onnxruntime") else torch.channels_last
    model = timm.create_model(name, pretrained=False).to(memory_format=form)
    return model, (torch.randn(batch, 3, size, size).to(memory_format=form),), 1000


def inference(name, runtime, batch, size, threads):
    import torch

    torch.set_num_threads(threads)
    model, inputs, _ = subject(name, runtime, batch, size, train=False)
    model.eval()
    if runtime == "onnxruntime":
        import onnxruntime

        with tempfile.TemporaryDirectory() as place:
            path = f"{place}/model.onnx"
            names = [f"input{number}" for number in range(len(inputs))]
            torch.onnx.export(model, inputs, path, input_names=names, dynamo=os.path.isdir(name))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feed = {node.name: tensor.numpy() for node, tensor in zip(session.get_inputs(), inputs)}
        return {"per_second": rate(batch, lambda: session.run(None, feed), 3.0)}
    if runtime == "bf16_whole":
        model = model.to(torch.bfloat16)
        inputs = tuple(x.to(torch.bfloat16) if x.is_floating_point() else x for x in inputs)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=runtime == "bf16"):
        return {"per_second": rate(batch, lambda: model(*inputs), 3.0)}


def training(name, runtime, batch, size, threads):
    import torch

    torch.set_num_threads(threads)
    model, inputs, classes = subject(name, runtime, batch, size, train=True)
    model.train()
    target = torch.randint(0, classes, (batch,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=runtime == "bf16"):
            output = model(*inputs)
            output = getattr(output, "logits", output)
            loss = torch.nn.functional.cross_entropy(output, target)
        loss.backward()
        optimizer.step()

    return {"per_second": rate(batch, step, 4.0)}


def cold(folder, photo, threads):
    import torch

    torch.set_num_threads(threads)
    import timm
    from PIL import Image

    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(model)
    picture = timm.data.create_transform(**config, is_training=False)(Image.open(photo).convert("RGB"))
    with torch.inference_mode():
        return {"best": int(model(picture[None]).argmax())}


def job(folder, photos, epochs, seed, threads):
    """The transfer-learning tutorial's fixed-feature recipe: frozen backbone, new head, SGD 0.001 with momentum, batch 4, a new random crop and flip
    of every photograph in each epoch, the best epoch's accuracy."""
    import timm
    import torch
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=2)
    config = timm.data.resolve_model_data_config(model)
    side, moments = config["input_size"][1], (config["mean"], config["std"])
    v = torchvision.transforms
    varied = v.Compose([v.RandomResizedCrop(side), v.RandomHorizontalFlip(), v.ToTensor(), v.Normalize(*moments)])
    plain = v.Compose([v.Resize(round(side / config["crop_pct"])), v.CenterCrop(side), v.ToTensor(), v.Normalize(*moments)])
    train = torchvision.datasets.ImageFolder(f"{photos}/train", varied)
    val = torchvision.datasets.ImageFolder(f"{photos}/val", plain)
    loaders = [torch.utils.data.DataLoader(data, batch_size=4, shuffle=data is train) for data in (train, val)]
    for parameter in model.parameters():
        parameter.requires_grad = False
    for parameter in model.get_classifier().parameters():
        parameter.requires_grad = True
    optimizer = torch.optim.SGD(model.get_classifier().parameters(), lr=0.001, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    best = 0.0
    for _ in range(epochs):
        model.train()
        for x, y in loaders[0]:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in loaders[1])
        best = max(best, right / len(val))
    return {"accuracy": best}


if __name__ == "__main__":
    work, *arguments = sys.argv[1:]
    arguments = [int(argument) if argument.isdigit() else argument for argument in arguments]
    result = {"inference": inference, "training": training, "cold": cold, "job": job}[work](*arguments)
    result["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(result))
