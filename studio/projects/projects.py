"""What people do with their own models, as one: projects, pictures, labels, versions, verdicts."""

from __future__ import annotations

from core.settings import Settings
from studio.asking.sources import Sources
from studio.projects.access import Access
from studio.projects.bringing import Bringing
from studio.projects.labelling import Labelling
from studio.projects.limits import ProjectLimits
from studio.projects.pictures import Pictures
from studio.projects.shelf import Shelf
from studio.projects.training import Training
from studio.projects.trying import Trying
from studio.rights import Rights
from studio.services import Services
from studio.styles.naming import Styles


class Projects:
    """Holds what is about own models; every method of its parts takes an actor and checks their right."""

    def __init__(self, rights: Rights, sources: Sources, services: Services) -> None:
        access = Access(rights, services.database, services.moderator)
        bringing, limits = Bringing(sources, services), limits_of(services.settings)
        self.shelf = Shelf(access, services, limits)
        self.pictures = Pictures(access, bringing, services, limits)
        self.labelling = Labelling(access, services, limits)
        self.training = Training(access, rights, services, limits)
        self.trying = Trying(access, rights, bringing, services, limits)
        self.styles = Styles(services.settings, self.trying, services.queue.executor)


def limits_of(settings: Settings) -> ProjectLimits:
    """Return how large projects may grow, as the host has set it."""
    return ProjectLimits(
        settings.projects_per_server,
        settings.projects_per_person,
        settings.project_pictures,
        settings.trainings_waiting,
        settings.training_seconds,
        settings.project_versions,
    )
