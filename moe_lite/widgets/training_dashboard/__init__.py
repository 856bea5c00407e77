"""The training dashboard: is it learning, and is every expert working?"""

from moe_lite.widgets.training_dashboard.widget import TrainingDashboard

__all__ = ["TrainingDashboard"]
