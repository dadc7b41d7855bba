"""Chat templates (Jinja) that are stored in the processor, so training, evaluation and serving share one.

Each takes content as a string or as a list of `{"type": "image"}` and `{"type": "text", "text": ...}` parts, and
marks assistant text with `{% generation %}` so that other trainers can find it too.
"""

from __future__ import annotations

from osler.errors import ModelError

_CONTENT = """\
{%- macro render(content) -%}
  {%- if content is string -%}{{ content }}
  {%- else -%}
    {%- for part in content -%}
      {%- if part['type'] == 'image' -%}{{ '<image>\\n' }}
      {%- else -%}{{ part['text'] }}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
"""

CHATML = (
    _CONTENT
    + """\
{%- for message in messages -%}
  {{- '<|im_start|>' + message['role'] + '\\n' -}}
  {%- if message['role'] == 'assistant' -%}
    {%- generation -%}{{- render(message['content']) + '<|im_end|>' -}}{%- endgeneration -%}
  {%- else -%}
    {{- render(message['content']) + '<|im_end|>' -}}
  {%- endif -%}
  {{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
)

# Mistral-Instruct as LLaVA-Med v1.5 uses it: no system message, the beginning-of-text token comes from the tokenizer
MISTRAL = (
    _CONTENT
    + """\
{%- for message in messages -%}
  {%- if message['role'] == 'assistant' -%}
    {%- generation -%}{{- ' ' + render(message['content']) + eos_token -}}{%- endgeneration -%}
  {%- else -%}
    {{- '[INST] ' + render(message['content']) + ' [/INST]' -}}
  {%- endif -%}
{%- endfor -%}
"""
)

# The "plain" Vicuna v1 style of LLaVA-1.5, for Llama and Vicuna language models
VICUNA = (
    _CONTENT
    + """\
{%- for message in messages -%}
  {%- if message['role'] == 'system' -%}
    {{- render(message['content']) + ' ' -}}
  {%- elif message['role'] == 'assistant' -%}
    {{- 'ASSISTANT: ' -}}
    {%- generation -%}{{- render(message['content']) + eos_token -}}{%- endgeneration -%}
  {%- else -%}
    {{- 'USER: ' + render(message['content']) + ' ' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}
"""
)

TEMPLATES = {"chatml": CHATML, "mistral": MISTRAL, "vicuna": VICUNA}


def get(name: str) -> str:
    """The template with this name.

    Raises:
        ModelError: when there is none; lists those there are.
    """
    if name not in TEMPLATES:
        raise ModelError(f"no chat template named {name!r}; there are {', '.join(sorted(TEMPLATES))}")
    return TEMPLATES[name]
