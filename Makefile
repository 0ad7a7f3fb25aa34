# Two commands are all a fresh machine needs: make demo, make test. Neither needs root, a service or Docker.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHONS := newsletter workers tests scripts
LOCKS := requirements/runtime.txt requirements/build.txt
# Whose arguments are words that people read; a number says which, where it is not the first.
WORDS := Words then Undo Place:2 go:2 refuse:2 RefusedError:2 NewsletterError SettingError InputError AddressError \
    TokenError NotFoundError ForbiddenError StaleError StateError RenderError DnsError FetchError DisarmedError \
    FencedError QueryError CapReached ConnectionLost AnswerLost __init__
# Tests that run side by side: one more than there are cores, since many wait for servers to start.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: help install demo test drill drill-nightly check format lock up down messages screenshots clean

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

install: .venv/.dev ## Set up .venv with everything, for developing

demo: .venv/.runtime ## Send a sample edition to a local mailbox, everything included
	@.venv/bin/newsletter demo $(ARGS)

test: .venv/.dev ## Run all tests, on SQLite and on PostgreSQL
	@.venv/bin/pytest -n $(JOBS) --dist worksteal $(ARGS)

drill: .venv/.dev ## Break a system 20 times on each store, each time in another way
	.venv/bin/newsletter drill --store sqlite --seeds 20 --readers 120 $(ARGS)
	.venv/bin/newsletter drill --store postgres --seeds 20 --readers 120 $(ARGS)

drill-nightly: .venv/.dev ## The same 200 times on each store, with 2,000 readers
	.venv/bin/newsletter drill --store sqlite --seeds 200 $(ARGS)
	.venv/bin/newsletter drill --store postgres --seeds 200 $(ARGS)

check: .venv/.dev ## Check format, style, types, layers and the deployment files
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: .venv/.dev ## Format the code and mend what ruff can mend
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

lock: ## Write requirements/ anew from pyproject.toml (needs uv)
	@scripts/lock

up: ## Start the servers of docker-compose.yml (needs Docker and .env)
	@test -f .env || { echo "There is no .env yet: cp .env.example .env, then fill it in."; exit 1; }
	docker compose up --build --detach --wait

down: ## Stop those servers; their data stays
	docker compose down

messages: .venv/.dev ## Gather the words of the pages for translators: newsletter/locale/newsletter.pot
	@mkdir -p newsletter/locale
	.venv/bin/pybabel --quiet extract -F pyproject.toml $(addprefix -k ,$(WORDS)) --no-location --sort-output \
	    --project newsletter --copyright-holder "the newsletter authors" -o newsletter/locale/newsletter.pot .

screenshots: .venv/.dev ## Take the pictures of the README anew (needs Chromium)
	.venv/bin/python scripts/screenshots.py

clean: ## Remove .venv, var and all caches
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/.runtime: pyproject.toml $(LOCKS)
	@scripts/install runtime

.venv/.dev: pyproject.toml $(LOCKS) requirements/dev.txt
	@scripts/install dev
