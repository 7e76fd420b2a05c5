"""Task sources of speech."""

from lit_metanas.tasks.speech.audio_folders import AudioFolder, AudioFolderTask
from lit_metanas.tasks.speech.log_mel import LogMel
from lit_metanas.tasks.speech.recordings import TableColumns
from lit_metanas.tasks.speech.spoken_words import SpokenWords
from lit_metanas.tasks.speech.transcripts import TranscriptTask
from lit_metanas.tasks.speech.waveforms import mu_law_sound

__all__ = ["AudioFolder", "AudioFolderTask", "LogMel", "SpokenWords", "TableColumns", "TranscriptTask", "mu_law_sound"]
