"""Meta-learned neural architecture search on PyTorch Lightning.

``import lit_metanas as lm`` has every public name, and imports what stands behind one when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lit_metanas import testing as testing
    from lit_metanas.automl import *  # noqa: F403
    from lit_metanas.callbacks import *  # noqa: F403
    from lit_metanas.comparisons import *  # noqa: F403
    from lit_metanas.estimators import *  # noqa: F403
    from lit_metanas.inputs import *  # noqa: F403
    from lit_metanas.io import *  # noqa: F403
    from lit_metanas.kinds import *  # noqa: F403
    from lit_metanas.meta import *  # noqa: F403
    from lit_metanas.objectives import *  # noqa: F403
    from lit_metanas.records import *  # noqa: F403
    from lit_metanas.relaxations import *  # noqa: F403
    from lit_metanas.report import *  # noqa: F403
    from lit_metanas.searchers import *  # noqa: F403
    from lit_metanas.spaces import *  # noqa: F403
    from lit_metanas.surrogates import *  # noqa: F403
    from lit_metanas.tasks import *  # noqa: F403
    from lit_metanas.training import *  # noqa: F403

__version__ = "0.1.0"

_NAMES = {
    "io": ("tune_allocator"),
    "inputs": ("ImageShape Preprocessing RowShape SeriesShape Shape TextPreprocessing TokenShape shape_of"),
    "objectives": ("Classification Objective Span Transcription Translation"),
    "tasks": (
        "ClassDistances DataStatistics DrawnTasks Episode EpisodeAugmentation EpisodeDataModule EpisodeLoader "
        "EpisodeSampler EpisodeStream JoinedEmbedding RandomFeatures Split Subset TargetTaskDataModule Task "
        "TaskCollection TaskEmbedding TaskSource TrainingTaskDataModule check_task draw_episode draw_task"
    ),
    "kinds": (
        "ArraySource AudioFolder AudioFolderTask BabiFolder BabiTask BytePairs Characters DatasetSource Distortion "
        "Docstrings FolderTask Glyphs ImageAugmentation ImageFolder Kind LogMel NewExamples "
        "NumberWords Omniglot ParallelFolder ParallelTable ParallelTask PhrasePairs Phrases QuantileColumns "
        "QuestionSentences QuestionWords SentenceSource Source SpokenWords SquadTask StandardisedColumns "
        "StaticVectors Stories TableColumns TableTask TextDataset TextFolder TextSource TextTable TextTask "
        "TorchvisionSource TranscriptTask Words mu_law_sound task_from_arrays task_from_dataset task_from_texts"
    ),
    "spaces": (
        "AnyInputSpace Architecture Builder Candidates Choice ChoiceSpace DARTSCell ENASMacro Encoding "
        "EncoderDecoderSpace Gate LayeredSpace LinearSpace MLPSpace MetaNASCell Mixture MobileMacro MobileStage "
        "NASBench101 NASBench201 NASBench201Encoding NASBenchGraph NASBenchGraphEncoding NetworkCost OneHotEncoding "
        "SearchSpace SequenceSpace Supernet default_space inherit one_hot"
    ),
    "records": (
        "ArchitectureRow Budget Cost Exhausted Protocol ResultRow SearchOutcome SearchRecord ShownPrediction "
        "TaskScores Trial merge_architectures merge_record_lines merge_results rank_gaussian read_architectures "
        "read_predictions read_record_lines read_records read_results write_architectures write_predictions "
        "write_record_lines write_records write_results"
    ),
    "relaxations": (
        "PRUNED AnnealedSoftmax Argmax AuxiliarySkip Categorical ChoicewiseRelaxation Derived GumbelSoftmax "
        "Relaxation SampledChild Softmax StraightThrough Uniform log_probability probabilities"
    ),
    "meta": (
        "ANIL FOMAML MAML SGD TNAS Adam Adaptation Adapted AlternatingInnerLoop Head HeadInnerLoop InnerLoop "
        "JointInnerLoop Learner LinearHead MetaGradient MetaNAS NoInnerLoop PairedReinforce Parameters "
        "PrototypeHead PrototypeLinearHead PrototypeLoss Reptile Sandwich TaskNoise UpdateRule evaluate "
        "left_out_losses task_generator"
    ),
    "training": (
        "AdaptedLogits ArchitectureSchedule Child ControllerRates DARTSRates DARTSTraining ENASTraining Exported "
        "ExportedModel FirstOrder GuardedArchitectures Hypergradient MetaRecipe MetaSearch Preemption Recipe "
        "SecondOrder SinglePathTraining TaskArchitectures TaskReptile Trainer WeightRates export_child load_exported"
    ),
    "surrogates": ("GaussianProcess MetaSurrogate MetaTrainedEmbedding RecordDataModule TransferSurrogate"),
    "estimators": (
        "EpisodeEstimator Estimator EstimatorCallable FlopCount GradNorm Jacov L2Norm NASBench101Table "
        "NASBench201Table NASBenchGraphTable NATSFiles Nwot ParameterCount Proxy ProxyEmbedding "
        "ProxyEstimator Score Snip SupernetEstimator Synflow Table TableDataModule TabularEstimator "
        "TrainingEstimator fresh_weights overlay"
    ),
    "searchers": (
        "BorrowedArchitecture DARTSSearcher ENASSearcher EvolvingHalving FixedArchitecture FrontHalving "
        "GuardedSearcher Halving LocalSearch MetaSampler MetaSearchedArchitecture OneShotSearcher "
        "PortfolioSampler QuerySearcher RandomArchitecture RegularisedEvolution Searcher SuccessiveHalving record_of"
    ),
    "comparisons": ("SearchResult SourceSearch TableSearch TargetSearch search"),
    "callbacks": (
        "ArchitectureFile ArchitectureLogger EpisodeProgressBar ProbabilityHistory RankMonitor "
        "ReplicaCheck ResultsFile ResultsTable Searched Searching SkipStop StableArchitecture Tested"
    ),
    "automl": ("AutoAnswerer AutoClassifier AutoTranscriber AutoTranslator auto"),
    "report": ("Difference MethodRow ProtocolTable Report paired_difference tables to_markdown to_rich write_report"),
}
_ROOMS = {name: room for room, names in _NAMES.items() for name in names.split()}

__all__ = [*_ROOMS, "testing"]


if not TYPE_CHECKING:  # else a type checker would take any name for a public one

    def __getattr__(name: str) -> object:
        """Import the room of a public name."""
        if name == "testing":
            return import_module("lit_metanas.testing")
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"lit_metanas.{_ROOMS[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*globals(), *__all__})
