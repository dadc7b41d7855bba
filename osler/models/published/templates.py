"""Chat templates of the published models (Jinja, as transformers and vLLM render them).

All of them write the begin-of-sequence token themselves, once, so that every path that renders the template and then
tokenises without special tokens (transformers' `apply_chat_template(tokenize=True)`, vLLM) gets exactly one. After
`tokenize=False`, tokenise with `add_special_tokens=False`.

A message's content is text, in which `<image>` stands for an image, or a list of parts `{"type": "image"}` and
`{"type": "text", "text": ...}`, which are joined by line breaks. `{% generation %}` marks what the assistant says,
end marker included.
"""

from __future__ import annotations

_CONTENT = (
    "{%- macro content(message) -%}"
    "{%- if message['content'] is string -%}{{ message['content'] | replace('<image>', IMAGE) }}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if not loop.first -%}{{ '\\n' }}{%- endif -%}"
    "{%- if part['type'] == 'image' -%}{{ IMAGE }}"
    "{%- elif part['type'] == 'text' -%}{{ part['text'] | replace('<image>', IMAGE) }}"
    "{%- else -%}{{ raise_exception('Only text and image parts are known, not ' + part['type']) }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{%- endmacro -%}"
)
_TURNS = (
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) or message['role'] not in ['user', 'assistant'] -%}"
    "{{ raise_exception('Roles must alternate user/assistant/user/..., and the first is user') }}{%- endif -%}"
)

# Mistral's instruction form with LLaVA's spaces around the answer; there is no place for a system message.
V15 = (
    _CONTENT.replace("IMAGE", "'<image>'")
    + "{{ bos_token }}"
    + "{%- for message in messages -%}"
    + "{%- if message['role'] == 'system' -%}"
    + "{{ raise_exception('LLaVA-Med v1.5 was trained without a system message; put it into the first user turn') }}"
    + "{%- endif -%}"
    + _TURNS
    + "{%- if message['role'] == 'user' -%}{{ '[INST] ' + content(message) + ' [/INST]' }}"
    + "{%- else -%}{% generation %}{{ ' ' + content(message) + ' ' + eos_token }}{% endgeneration %}{%- endif -%}"
    + "{%- endfor -%}"
)

_V10_SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
_V10_START = (
    _CONTENT.replace("IMAGE", "'<im_start><im_patch><im_end>'")
    + "{{ bos_token }}"
    + "{%- if messages and messages[0]['role'] == 'system' -%}"
    + "{%- set system = content(messages[0]) -%}{%- set turns = messages[1:] -%}"
    + '{%- else -%}{%- set system = "'
    + _V10_SYSTEM
    + '" -%}{%- set turns = messages -%}{%- endif -%}'
)

# What the released evaluation used: no white space around the separator, and a greeting before the question.
V10_EVALUATION = (
    _V10_START
    + "{{ system + '###Human: Hi!###Assistant: Hi there!  How can I help you today?\\n###' }}"
    + "{%- for message in turns -%}"
    + _TURNS
    + "{%- if message['role'] == 'user' -%}{{ 'Human: ' + content(message) + '###' }}"
    + "{%- else -%}{{ 'Assistant:' }}{% generation %}{{ ' ' + content(message) + '###' }}{% endgeneration %}"
    + "{%- endif -%}"
    + "{%- endfor -%}"
    + "{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}"
)

# What the released training used.
V10_TRAINING = (
    _V10_START
    + "{{ system + '\\n\\n### ' }}"
    + "{%- for message in turns -%}"
    + _TURNS
    + "{%- if message['role'] == 'user' -%}{{ 'Human: ' + content(message) + '\\n### ' }}"
    + "{%- else -%}{{ 'Assistant:' }}{% generation %}{{ ' ' + content(message) + '\\n###' }}{% endgeneration %}"
    + "{{ ' ' }}"
    + "{%- endif -%}"
    + "{%- endfor -%}"
    + "{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}"
)
