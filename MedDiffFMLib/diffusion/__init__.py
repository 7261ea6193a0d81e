"""The paper's mathematics on tensors: noise schedule, samplers, data steps. Knows neither CT nor files."""
