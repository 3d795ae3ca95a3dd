# Every target sets up what it needs; `make` alone says what there is.
#   ROS_PIP_DISTRO=kilted make test     the same on ROS 2 Kilted
ROS_PIP_DISTRO ?= jazzy
ifeq ($(ROS_PIP_DISTRO),kilted)
CASHER_VENV ?= .venv-kilted
else
CASHER_VENV ?= .venv
endif
export ROS_PIP_DISTRO CASHER_VENV
BIN = $(CASHER_VENV)/bin
PYTEST_ARGS ?=

.PHONY: help setup demo test bench lint doctor isaaclab
help:
	@echo "make demo               10 episodes of the learned policy in three new kitchens, recorded and reported (ARGS=\"episodes:=3 viewer:=true\" changes it)"
	@echo "make test               the test suite (PYTEST_ARGS=\"-k cloud\" narrows it)"
	@echo "make bench              lists the benchmarks; make bench NAME=cloud_fusion runs one"
	@echo "make doctor             checks this machine"
	@echo "make lint               ruff"
	@echo "make isaaclab           compares Isaac Lab 3 with MuJoCo, in an environment of its own: 8 GB (docs/isaac.md)"
	@echo "make setup              only the set-up that all of these do first"

setup:
	@bash scripts/setup.sh

demo: setup
	@$(BIN)/casher eval policy:=student twin:=unseen $(ARGS)

test:
	@bash scripts/setup.sh test
	@$(BIN)/python -m pytest -m "not nightly" $(PYTEST_ARGS)

bench: setup
	@$(BIN)/python -m benchmarks $(NAME)

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

doctor: setup
	@$(BIN)/casher doctor

isaaclab: setup
	@bash scripts/isaaclab.sh
