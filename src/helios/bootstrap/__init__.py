"""The one room that knows concrete back ends and joins everything."""
