"""Interactive figures for the lessons. Each shows one question's answer and ends with a sentence that states it."""

from moe_lite.widgets.balance_lab import BalanceLab
from moe_lite.widgets.bias_controller import BiasController
from moe_lite.widgets.budget_explorer import BudgetExplorer
from moe_lite.widgets.cache_explorer import CacheExplorer
from moe_lite.widgets.capacity_view import CapacityView
from moe_lite.widgets.dispatch_view import DispatchView
from moe_lite.widgets.expert_partition import ExpertPartition
from moe_lite.widgets.expert_viewer import ExpertViewer
from moe_lite.widgets.failure_gallery import FailureGallery
from moe_lite.widgets.family_explorer import FamilyExplorer
from moe_lite.widgets.generation_viewer import GenerationViewer
from moe_lite.widgets.model_calculator import ModelCalculator
from moe_lite.widgets.next_tokens import NextTokens
from moe_lite.widgets.results_explorer import ResultsExplorer
from moe_lite.widgets.router_stepper import RouterStepper
from moe_lite.widgets.serving_explorer import ServingExplorer
from moe_lite.widgets.token_viewer import TokenViewer
from moe_lite.widgets.traffic_explorer import TrafficExplorer
from moe_lite.widgets.training_dashboard import TrainingDashboard

__all__ = [
    "BalanceLab",
    "BiasController",
    "BudgetExplorer",
    "CacheExplorer",
    "CapacityView",
    "DispatchView",
    "ExpertPartition",
    "ExpertViewer",
    "FailureGallery",
    "FamilyExplorer",
    "GenerationViewer",
    "ModelCalculator",
    "NextTokens",
    "ResultsExplorer",
    "RouterStepper",
    "ServingExplorer",
    "TokenViewer",
    "TrafficExplorer",
    "TrainingDashboard",
]
