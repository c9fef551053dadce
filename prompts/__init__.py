"""The shipped prompt sets, written for this project (CC-BY-4.0); see LICENSE.md."""
