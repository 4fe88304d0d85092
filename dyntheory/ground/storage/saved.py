"""What every result can do: become a labelled dataset, and be saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.storage import netcdf
from dyntheory.ground.storage.marks import storable

if TYPE_CHECKING:
    import xarray

OTHER_FORMATS = (
    *(".csv", ".tsv", ".txt", ".json", ".toml", ".yaml", ".html", ".xls", ".xlsx", ".parquet", ".feather"),
    *(".npy", ".npz", ".mat", ".pkl", ".pickle", ".zarr", ".zip", ".png", ".svg", ".pdf"),
)


class Saved:
    """Base of a frozen dataclass that can be saved; the hints of its arrays are marked with their `Axes`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        storable(cls)

    def to_xarray(self) -> xarray.Dataset:
        """Return a labelled dataset; see `dyntheory.ground.storage.netcdf`."""
        return netcdf.to_xarray(self)

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write a NetCDF file (never pickle), whole or not at all; `dyntheory.load` reads it.

        Raises:
            FileExistsError: the file exists and `force` is False.
            TypeError: something in it cannot be stored, such as a Python function.
            ValueError: the name ends as files of another format do, such as .csv.
        """
        check_arguments(Saved.save, locals())
        if Path(path).suffix.lower() in OTHER_FORMATS:
            raise ValueError(
                f"`save` writes NetCDF, got the name '{path}': end it in .nc. For a table take columns of to_xarray(), "
                "such as result.to_xarray()[['train_error', 'test_error']].to_dataframe().to_csv(path)."
            )
        return netcdf.save(self, path, force=force)
