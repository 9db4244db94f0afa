# What is done often. `just check` is green before a commit.

default: check

# Everything that has to hold before a change lands.
check:
    bash .ci/run

# The tests alone.
test:
    cargo test --workspace

# Formats everything.
fmt:
    cargo fmt --all

# Licences, bans and sources of dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# Kernels, layer by layer.
bench-kernels:
    cargo bench -p tk-engine --bench kernels

# Trains the embedded default anew; DATA holds caltech101-112px.
pretrain DATA OUT:
    cargo run --release --example pretrain_default -- {{DATA}} {{OUT}}
