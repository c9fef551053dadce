"""Whether a judge gives log-probabilities, found before anything else is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from charter.constitutions import Principle
from charter.models.ask import ask_batch
from charter.models.build import build_llm, identity, load_llm, published_name
from charter.models.cache import CallCache, Entry
from charter.models.call import Answer, Call
from charter.models.keys import Keys
from charter.models.lane import EMPTY_TRIES
from charter.recipes import Loaded
from charter.recipes.load import recipe_text
from charter.recipes.schema import LOGPROB_LLMS, ModelSettings, Price, RunSettings
from charter.rows import Message
from charter.run.limits import Budget, Limits, bound
from charter.steps.frame import LABELS, frame_nonce, judge_messages

__all__ = ["Prober", "settled", "settled_by_cache"]

# Modes that read log-probabilities.
_READ_BY = ("logprob", "cot")
# A comparison like any other, so that whoever answers those answers this one.
_PRINCIPLE = Principle(
    id="probe",
    name="Probe",
    critique="Is your last answer right?",
    revision="Rewrite your last answer so that it is right.",
    comparison="Choose the response that is right.",
)
# What a budget counts where no price is known; one of money is refused before.
_FREE = Price(prompt=0.0, completion=0.0)
_QUESTION: Message = {"role": "user", "content": "What is two and two?"}


def settled(
    loaded: Loaded, cache: CallCache, say: Callable[[str], None], budget: Budget | None = None
) -> tuple[Loaded, list[Answer]]:
    """The recipe in the mode that its judge can do.

    A judge without log-probabilities is asked for several votes instead (`logprob`), or for its
    label as a text (`cot`); `say` is told of it. A server is asked once what it gives; the answer
    lies in the call cache as any other does, so a run that is taken up again goes on as it began.

    Returns:
        The recipe, and the answers of the calls that were made to find out.

    Raises:
        Failure: the server is down, or refuses the key or the model.
        Interrupted: the budget allows no call.
    """
    prober = Prober(loaded.recipe.run, cache, budget)
    found = _settled(loaded, prober.gives_logprobs)
    if found is not loaded:
        preference = loaded.recipe.preference
        assert preference
        name = published_name(loaded.recipe.role("judge"))
        became = (
            f"is judged by `vote`, {preference.votes} answers to each question in each order"
            if preference.mode == "logprob"
            else "reads the label that follows the reasons as a text"
        )
        say(f"{name} gives no log-probabilities: `mode: {preference.mode}` {became}")
    return found, prober.answers


def settled_by_cache(loaded: Loaded, cache: CallCache) -> Loaded:
    """The same by what is known without a call; where that is nothing, the recipe as it is."""
    return _settled(loaded, lambda settings: _known(settings, cache))


def _settled(loaded: Loaded, probe: Callable[[ModelSettings], bool | None]) -> Loaded:
    preference = loaded.recipe.preference
    if not preference or preference.mode not in _READ_BY:
        return loaded
    settings = loaded.recipe.role("judge")
    gives = probe(settings)
    if gives is not False:
        return loaded
    if preference.mode == "cot":
        return replace(loaded, judge_logprobs=False)
    models = loaded.recipe.models
    if models.judge is not None and models.judge.temperature == 0:
        # Greedy votes are one vote, over and over.
        judge = models.judge.model_copy(update={"temperature": None})
        models = models.model_copy(update={"judge": judge})
    changed = preference.model_copy(update={"mode": "vote"})
    recipe = loaded.recipe.model_copy(update={"preference": changed, "models": models})
    return replace(loaded, recipe=recipe, recipe_yaml=recipe_text(recipe), judge_logprobs=False)


def _call(labels: tuple[str, ...]) -> Call:
    nonce = frame_nonce(0, "probe", ())
    messages = judge_messages(
        (_QUESTION,), "Four.", "Five.", _PRINCIPLE, nonce=nonce, want="letter"
    )
    return Call("probe", "", 0, 0, messages, labels)


def _known(settings: ModelSettings, cache: CallCache) -> bool | None:
    """What is known of a model without asking it."""
    if settings.llm not in LOGPROB_LLMS:
        return False
    if settings.llm != "openai" or settings.serve is not None:  # vLLM, which we start, gives them
        return True
    key = Keys(identity(settings)).key(_call(LABELS))
    answer = cache.get((key,)).get(key)
    return None if answer is None else bool(answer.label_logprobs)


class Prober:
    """Asks servers for the log-probabilities of one token, each of them once.

    Attributes:
        answers: of the calls that were made.

    Args:
        run: how servers are asked.
        cache: where answers are kept.
        budget: what may still be asked; by default anything.
    """

    def __init__(self, run: RunSettings, cache: CallCache, budget: Budget | None = None) -> None:
        self._run = run
        self._cache = cache
        self._budget = budget or Budget(Limits())
        self.answers: list[Answer] = []

    def gives_logprobs(self, settings: ModelSettings) -> bool | None:
        """Whether a model gives any; None where its server refuses the question altogether.

        Raises:
            Failure: the server is down, or refuses the key or the model.
            Interrupted: the budget allows no call.
        """
        known = _known(settings, self._cache)
        if known is not None:
            return known
        answer = self._answer(settings, LABELS)
        if not answer.ok:
            # Some servers refuse the request for its `logprobs`: the same without is the test.
            answer = self._answer(settings, ())
            if not answer.ok:
                return None
        keys = Keys(identity(settings))
        kept = answer if answer.label_logprobs else replace(answer, text=answer.text or "?")
        self._cache.put([Entry(keys.key(_call(LABELS)), keys.model, kept)])
        return bool(answer.label_logprobs)

    def _answer(self, settings: ModelSettings, labels: tuple[str, ...]) -> Answer:
        call = _call(labels)
        most = bound(settings, call) * (1 + EMPTY_TRIES)
        if not self._budget.fits(most):
            raise self._budget.spent()
        llm = build_llm(settings, self._run)
        load_llm(llm, settings.llm)
        self._budget.take(most)
        (answer,) = ask_batch(llm, [call])
        price = settings.price or _FREE
        self._budget.settle(most, price.of(answer.prompt_tokens, answer.completion_tokens))
        self.answers.append(answer)
        return answer
