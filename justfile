# What a contributor types. `just check` is what CI runs.

# Format, tests, lints, documentation, generated pages.
check:
    .ci/run

# The suite, as README.md has it; an argument chooses tests by name.
test *ARGS:
    cargo test {{ARGS}}

# Rewrites goldens and generated pages; read the diff before you commit it.
bless:
    KEYTRAIL_BLESS=1 cargo test --no-fail-fast
    git status --short docs README.md tests

# Inflate, split, normalize, the whole scan and named queries. The dev profile optimizes what is hot, so this compiles
# no second DataFusion.
bench *ARGS:
    cargo bench --profile dev --bench scan -- {{ARGS}}

# The generated pages, then the API documentation.
docs:
    KEYTRAIL_BLESS=1 cargo test --test it docs::
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Licences, bans and sources as CI checks them, and advisories, which need the network; needs cargo-deny.
deny:
    cargo deny --locked --workspace check

# The bill of materials of the lock file as CycloneDX, in target/keytrail.cdx.json; needs npx and the network.
sbom:
    npx --yes @cyclonedx/cdxgen@12.8.4 -t cargo --no-install-deps --lifecycle pre-build -o target/keytrail.cdx.json .

# One fuzz target (digest_names, inflate_split, normalize, sql_guard) for a while; needs g++.
fuzz TARGET SECONDS="600":
    fuzz/run.sh {{TARGET}} {{SECONDS}}
